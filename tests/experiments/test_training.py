"""Training: deterministic, atomic, resumable to the bit, stopped by a loss that is not finite."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from experiments.core.checkpoint import load_checkpoint, save_checkpoint
from experiments.core.config import (
    DataConfig,
    OptimizerConfig,
    RunConfig,
    changed,
    differing_fields,
)
from experiments.core.folder import RunFolder
from experiments.core.job import run_job
from experiments.core.study import StudyOptions
from experiments.core.training import (
    AbandonedError,
    NonFiniteLossError,
    learning_rate,
    make_optimizer,
    make_task,
    train,
)
from experiments.studies.smoke import SMOKE
from tests import warm_python
from wavevit.models import BackboneConfig, make_stages

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def tiny(**optimizer: object) -> RunConfig:
    model = BackboneConfig(
        img_size=16,
        in_chans=1,
        num_classes=18,
        patch_size=8,
        drop_path_rate=0.1,  # something that draws random numbers in training
        stages=make_stages(depths=[2], embed_dims=[8], num_heads=1),
        alignment="phase_lock",
    )
    schedule = {"steps": 12, "batch_size": 8, "warmup_steps": 2} | optimizer
    return RunConfig(
        model=model,
        data=DataConfig(crop_size=16, margin=8, test_crops=36, measured_crops=18),
        optimizer=OptimizerConfig(**schedule),
        checkpoint_every=3,
    )


def claimed(path: Path, config: RunConfig) -> RunFolder:
    folder = RunFolder(path)
    folder.claim(config)
    return folder


def stop_after(steps: int):
    calls = iter(range(10**6))
    return lambda: next(calls) < steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing stopped."""
    folder = claimed(tmp_path_factory.mktemp("whole") / "run", tiny())
    train(tiny(), folder, CPU)
    return folder


def test_same_seed_same_bits_and_other_seed_other_bits(tmp_path: Path, whole: RunFolder) -> None:
    weights = [whole.weights.read_bytes()]
    for name, seed in (("b", 0), ("c", 1)):
        folder = claimed(tmp_path / name, dataclasses.replace(tiny(), seed=seed))
        train(folder.load_config(), folder, CPU)
        weights.append(folder.weights.read_bytes())
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("stop", [1, 3, 7, 11])
def test_a_stopped_run_continues_to_equal_bits(tmp_path: Path, stop: int, whole: RunFolder) -> None:
    broken = claimed(tmp_path / "broken", tiny())
    with pytest.raises(AbandonedError):
        train(tiny(), broken, CPU, still_wanted=stop_after(stop))
    assert broken.checkpoint.exists() == (stop >= 3)
    assert not broken.weights.exists()
    with broken.metrics.open("a") as file:
        file.write('{"step": 99')  # a line torn by the kill
    train(tiny(), broken, CPU)
    assert broken.weights.read_bytes() == whole.weights.read_bytes()
    assert broken.metrics.read_text() == whole.metrics.read_text()
    assert not broken.checkpoint.exists()


def test_checkpoint_holds_weights_optimiser_and_step(tmp_path: Path) -> None:
    config = tiny()
    model = make_task(config)
    optimizer = make_optimizer(model, config.optimizer)
    model.backbone(torch.randn(2, 1, 16, 16)).square().sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "c", model, optimizer, 7)
    other = make_task(dataclasses.replace(config, seed=5))
    fresh = make_optimizer(other, config.optimizer)
    assert load_checkpoint(tmp_path / "c", other, fresh) == 7
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        for key, value in optimizer.state[one].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(fresh.state[two][key]))


def test_training_is_deterministic_on_gpus_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch asks for before it calls cuBLAS deterministically; a user's own choice stays."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    train(tiny(), claimed(tmp_path / "a", tiny()), CPU)
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    train(tiny(), claimed(tmp_path / "b", tiny()), CPU)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_training_does_not_fill_memory_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is deterministic, torch by default fills every new tensor with NaN."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    train(tiny(), claimed(tmp_path / "a", tiny()), CPU)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


def test_kill_9_of_a_real_process_and_the_same_command_again(tmp_path: Path) -> None:
    """The study's own command line, killed with its children while it trains."""
    command = [sys.executable, "-m", "experiments", "run", "smoke", "--seeds", "0", "--jobs", "1"]
    command += ["--variants", "vit", "--threads", "1", "--no-timing", "--out"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = {"seeds": (0,), "variants": ("vit",), "jobs": 1, "threads": 1, "timing": False}
    assert SMOKE.run(StudyOptions(out=whole, **options)) == 0
    process = warm_python.start([*command, str(broken)], cwd=ROOT, new_session=True)
    run = RunFolder(broken / "vit" / "seed0")
    deadline = time.monotonic() + 120
    while not run.checkpoint.exists() and not run.weights.exists():
        assert process.exitcode is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not run.complete()
    killed_while_training = not run.weights.exists()
    warm_python.run([*command, str(broken)], cwd=ROOT, check=True)
    assert killed_while_training
    assert (
        run.weights.read_bytes() == (whole / "vit" / "seed0" / "weights.safetensors").read_bytes()
    )
    assert run.complete()
    assert not list(run.path.glob(".*.part"))


def test_a_loss_that_is_not_finite_stops_the_run_and_is_recorded(tmp_path: Path) -> None:
    config = tiny(lr=1e30, warmup_steps=0)
    folder = claimed(tmp_path / "run", config)
    with pytest.raises(NonFiniteLossError, match=r"at step \d+ of 12, learning rate \d"):
        train(config, folder, CPU)
    assert not folder.weights.exists()
    assert run_job(folder.path, "cpu", 1, "run") is False
    failure = json.loads(folder.failed.read_text())
    assert failure["error"] == "NonFiniteLossError"
    assert "learning rate" in failure["message"]
    assert not folder.complete()


def test_schedule() -> None:
    config = OptimizerConfig(steps=100, warmup_steps=10, lr=1.0)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert 0 < rates[-1] < 1e-3
    assert math.isclose(rates[55], 0.5, abs_tol=0.01)


def test_weight_decay_spares_vectors_and_positions() -> None:
    config = tiny()
    model = make_task(config)
    decayed, spared = make_optimizer(model, config.optimizer).param_groups
    assert decayed["weight_decay"] > 0 == spared["weight_decay"]
    names = {id(p): n for n, p in model.named_parameters()}
    assert {names[id(p)].rsplit(".", 1)[-1] for p in decayed["params"]} == {"weight"}
    spared_names = {names[id(p)] for p in spared["params"]}
    assert "backbone.position.embedding" in spared_names
    assert "backbone.norm.weight" in spared_names


def test_fields_are_changed_at_once_by_dotted_path() -> None:
    config = tiny()
    wanted = dataclasses.replace(
        config,
        seed=3,
        model=dataclasses.replace(config.model, tokenizer="dwt", subband_act=False),
        optimizer=dataclasses.replace(config.optimizer, lr=0.5),
    )
    fields = {"seed": 3, "model.tokenizer": "dwt", "model.subband_act": False, "optimizer.lr": 0.5}
    assert changed(config, fields) == wanted
    assert differing_fields(config, changed(config, {"model.position": "none"})) == [
        "model.position"
    ]
    with pytest.raises(TypeError, match="nope"):
        changed(config, {"model.nope": 1})


def test_config_survives_json() -> None:
    config = tiny()
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="lr: expected a positive number"):
        tiny(lr=0)
    with pytest.raises(ValueError, match="steps: expected an integer of at least 1"):
        tiny(steps=0)
