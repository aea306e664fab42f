"""Options of a run's execution: each does what it says, and the defaults change nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from experiments.core.config import ExecutionConfig, OptimizerConfig, RunConfig
from experiments.core.folder import RunFolder
from experiments.core.preparation import prepare
from experiments.core.recipes import deit3
from experiments.core.step import check_share, gradients
from experiments.core.training import make_optimizer, make_task, train
from experiments.core.weight_average import WeightAverage
from tests.experiments.noise_source import noise_run
from tests.experiments.ranks import train_until
from wavevit.tasks import TASKS, Retrieval, create_task, register_task

CPU = torch.device("cpu")


def batch_of(config: RunConfig) -> dict[str, Tensor]:
    return make_task(config).dummy_batch(8, torch.Generator().manual_seed(1))


def found_gradients(config: RunConfig) -> dict[str, Tensor]:
    """Gradients of one step as the configuration says."""
    task = make_task(config)
    prepare(task, config.execution)
    task.train()
    execution = config.execution
    gradients(task, batch_of(config), 5, execution.accumulate, execution.precision)
    return {name: p.grad for name, p in task.named_parameters() if p.grad is not None}


def trained(path: Path, config: RunConfig) -> tuple[RunFolder, Any]:
    folder = RunFolder(path)
    folder.claim(config)
    return folder, train(config, folder, CPU)


def test_recomputed_activations_change_no_bit() -> None:
    plain, recomputed = (
        found_gradients(noise_run(checkpoint_blocks=value)) for value in (False, True)
    )
    assert set(plain) == set(recomputed)
    for name, value in plain.items():
        assert torch.equal(value, recomputed[name]), name


def test_recomputed_activations_run_the_blocks_twice() -> None:
    config = noise_run(checkpoint_blocks=True)
    task, calls = make_task(config), []
    prepare(task, config.execution)
    task.train()
    # Before the block: its second pass ends as soon as it has what the gradient needs.
    task.fsdp_units()[0].register_forward_pre_hook(lambda *_: calls.append(1))
    gradients(task, batch_of(config), 5)
    assert len(calls) == 2


def test_bfloat16_on_the_cpu_is_close_and_not_equal() -> None:
    plain, rough = (found_gradients(noise_run(precision=name)) for name in ("float32", "bf16"))
    largest = max(float(value.abs().max()) for value in plain.values())
    differences = [float((rough[name] - value).abs().max()) for name, value in plain.items()]
    assert 0 < max(differences) < 0.1 * largest
    assert all(value.dtype == torch.float32 for value in rough.values())
    auto = found_gradients(noise_run())
    assert all(torch.equal(auto[name], value) for name, value in plain.items())


@pytest.mark.nightly  # the compiler of inductor takes a minute
def test_compiled_blocks_have_the_same_gradients() -> None:
    plain, compiled = (found_gradients(noise_run(compile=value)) for value in (False, True))
    assert set(plain) == set(compiled)
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-4, atol=1e-6)


def test_average_of_the_weights_follows_its_formula(tmp_path: Path) -> None:
    """After three steps with decay d: d² of the first weights, d(1 − d) and 1 − d of the others."""
    decay, weights = 0.25, []
    config = noise_run(steps=3, ema=decay)
    for stop in (1, 2):  # a run without an average that is stopped after each step
        folder = RunFolder(tmp_path / f"stopped{stop}")
        plain = dataclasses.replace(config, checkpoint_every=1, execution=ExecutionConfig())
        folder.claim(plain)
        train_until(folder, stop)
        tensors = load_file(folder.checkpoint)
        weights.append({name.removeprefix("model.backbone."): x for name, x in tensors.items()})
    beside, _ = trained(tmp_path / "beside", config)
    weights.append(load_file(beside.weights))
    for name, value in load_file(beside.ema).items():
        one, two, three = (found[name] for found in weights)
        wanted = decay * (decay * one + (1 - decay) * two) + (1 - decay) * three
        torch.testing.assert_close(value, wanted)
    in_place, task = trained(
        tmp_path / "in_place",
        dataclasses.replace(config, execution=ExecutionConfig(ema=decay, ema_use="in place")),
    )
    assert in_place.weights.read_bytes() == beside.ema.read_bytes()
    assert not in_place.ema.exists()
    for name, value in task.network().state_dict().items():
        torch.testing.assert_close(value, load_file(in_place.weights)[name], rtol=0, atol=0)


def test_average_has_the_statistics_of_a_batch_norm_and_keeps_constants() -> None:
    """Not those of the last weights alone; a mask's infinities stay what they are."""
    task = create_task("retrieval", "test_vit", num_classes=2, img_size=32)
    assert isinstance(task, Retrieval)
    task.register_buffer("mask", torch.tensor([0.0, -torch.inf]), persistent=False)
    average = WeightAverage(task, 0.25, "ddp")
    assert average.statistics == ("center.running_mean", "center.running_var")
    for value in (1.0, 2.0, 4.0):
        for tensor in (task.center.running_mean, task.center.running_var, task.project.weight):
            assert isinstance(tensor, Tensor)
            tensor.data.fill_(value)
        average.update(task)
    wanted = 0.25 * (0.25 * 1 + 0.75 * 2) + 0.75 * 4
    kept = average.task
    assert isinstance(kept, Retrieval)
    for tensor in (kept.center.running_mean, kept.center.running_var, kept.project.weight):
        assert isinstance(tensor, Tensor)
        torch.testing.assert_close(tensor.detach(), torch.full_like(tensor, wanted))
    assert kept.get_buffer("mask").tolist() == [0.0, -torch.inf]


def test_average_keeps_whole_numbers() -> None:
    """torch's own average of buffers lowers some by one with this decay (see `findings/`)."""
    task = create_task("retrieval", "test_vit", num_classes=2, img_size=32)
    task.register_buffer("places", torch.arange(200))
    average = WeightAverage(task, 0.9, "ddp")
    for _ in range(3):
        average.update(task)
    assert torch.equal(average.task.get_buffer("places"), torch.arange(200))


def test_stopped_run_with_average_and_mixing_continues_to_equal_bits(tmp_path: Path) -> None:
    config = noise_run(ema=0.5)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, mixup=0.8))
    whole, _ = trained(tmp_path / "whole", config)
    stopped = RunFolder(tmp_path / "stopped")
    stopped.claim(config)
    train_until(stopped, 5)
    assert stopped.checkpoint.exists()
    train(config, stopped, CPU)
    assert stopped.weights.read_bytes() == whole.weights.read_bytes()
    assert stopped.ema.read_bytes() == whole.ema.read_bytes()


def test_configurations_of_before_read_and_have_nothing_on() -> None:
    config = noise_run()
    data = json.loads(json.dumps(config.to_dict()))
    del data["execution"], data["optimizer"]["name"]
    del data["data"]["mixup"], data["data"]["cutmix"], data["data"]["repeats"]
    assert RunConfig.from_dict(data) == config
    assert config.execution == ExecutionConfig()
    assert config.data.repeats == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"precision": "fp8"}, "precision: expected one of"),
        ({"accumulate": 0}, "accumulate: expected an integer of at least 1"),
        ({"accumulate": 3}, r"optimizer.batch_size: expected a multiple of 3 .*, got 8"),
        ({"ema": 1.0}, "ema: expected a number from 0 to below 1"),
        ({"ema_use": "both"}, "ema_use: expected one of"),
    ],
)
def test_bad_options_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noise_run(**fields)


def test_losses_that_parts_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match=r"execution\.accumulate: expected 1 .*'contrastive'"):
        dataclasses.replace(noise_run(accumulate=2), task="contrastive")
    with pytest.raises(ValueError, match=r"optimizer\.batch_size: expected a multiple of 3"):
        check_share(8, 3, "mean")


@pytest.fixture
def whole_task() -> Iterator[str]:
    """A task of a user whose loss compares the examples of one process."""
    name = "whole_of_a_user"

    class Whole(Retrieval):
        reduction = "whole"

    register_task(name)(Whole)
    yield name
    del TASKS._classes[name], TASKS._origins[name]


def test_tasks_that_compare_examples_are_not_accumulated(whole_task: str) -> None:
    for name in (whole_task, "retrieval"):
        message = rf"execution\.accumulate: expected 1 .*'{name}'.*, got 2"
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(noise_run(accumulate=2), task=name)
        assert dataclasses.replace(noise_run(), task=name).task == name


def test_several_ranks_share_a_loss_over_ranks_only(
    whole_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.core.step.rank_and_world", lambda: (0, 2))
    config = dataclasses.replace(noise_run(), task=whole_task)
    folder = RunFolder(tmp_path)
    folder.claim(config)
    expected = r"task: expected a loss that several ranks can share \(Task\.reduction\)"
    with pytest.raises(ValueError, match=expected):
        train(config, folder, CPU)
    assert not folder.checkpoint.exists()
    check_share(8, 2, Retrieval.reduction)
    with pytest.raises(ValueError, match=r"a multiple of 6 \(ranks times execution.accumulate"):
        check_share(8, 3, Retrieval.reduction)


def test_recipe_of_deit_iii() -> None:
    run = deit3(noise_run(), images=20_480, epochs=10)
    assert run.optimizer == OptimizerConfig(
        name="lamb",
        steps=100,
        warmup_steps=50,
        batch_size=2048,
        lr=3e-3,
        weight_decay=0.02,
        betas=(0.9, 0.999),
    )
    assert (run.data.mixup, run.data.cutmix, run.task_options.loss) == (0.8, 1.0, "bce")
    assert run.data.augmentation == ("flip", "three", "jitter")
    assert run.data.repeats == 3
    gains = [p for name, p in make_task(run).named_parameters() if "gain" in name]
    assert len(gains) == 2 * sum(stage.depth for stage in run.model.stages)
    assert all(bool((gain == 1e-4).all()) for gain in gains)
    assert RunConfig.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    assert deit3(noise_run(), 20_480, 10, batch_size=1024).optimizer.lr == 1.5e-3


def test_lamb_takes_a_step() -> None:
    config = noise_run()
    task = make_task(config)
    before = [p.detach().clone() for p in task.parameters()]
    optimizer = make_optimizer(task, OptimizerConfig(name="lamb", lr=0.1))
    gradients(task, batch_of(config), 5)
    optimizer.step()
    changed = [not torch.equal(p, old) for p, old in zip(task.parameters(), before, strict=True)]
    assert sum(changed) > len(changed) / 2
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.05}
