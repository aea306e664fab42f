"""Several ranks: losses, gradients, checkpoints and accumulated gradients equal one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from experiments.core.distributed import PARALLEL
from experiments.core.folder import RunFolder
from experiments.core.training import train
from tests.experiments.noise_source import noise_run
from tests.experiments.ranks import SHARDED, SNAPSHOTS, TASKS, checks_on_a_rank, step_of
from tests.two_ranks import on_two_ranks

CPU = torch.device("cpu")
EXACT = 1e-6


def assert_same_step(found: dict[str, Any], expected: dict[str, Any], name: str) -> None:
    assert set(found) == set(expected), name
    # Gradients that are 0 but for rounding need a common scale.
    largest = max(float(value.abs().max()) for key, value in expected.items() if key != "loss")
    for key, value in expected.items():
        scale = float(value.abs()) if key == "loss" else largest
        assert float((found[key] - value).abs().max()) <= EXACT * scale, f"{name}: {key}"


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], RunFolder]:
    """What each of two ranks found, and the run that they trained: one start for all tests."""
    place = tmp_path_factory.mktemp("ranks")
    (place / "group").mkdir()
    found = on_two_ranks(place / "group", checks_on_a_rank, str(place / "run"))
    return found, RunFolder(place / "run")


@pytest.mark.parametrize("name", TASKS)
def test_loss_and_gradients_on_two_ranks_equal_one_process(
    ranks: tuple[list[dict[str, Any]], RunFolder], name: str
) -> None:
    """Also tasks that count boxes, pixels or characters, of which the ranks have unequal shares."""
    expected = step_of(name)
    assert len(expected) > 10
    for found in ranks[0]:
        assert_same_step(found["ddp"][name], expected, name)
        if name in SHARDED:
            assert_same_step(found["fsdp"][name], expected, f"{name}, sharded")


@pytest.mark.parametrize("parallel", PARALLEL)
def test_accumulated_gradients_on_ranks_equal_one_large_batch(
    ranks: tuple[list[dict[str, Any]], RunFolder], parallel: str
) -> None:
    for found in ranks[0]:
        assert_same_step(found["accumulated"][parallel], step_of("masked"), parallel)


@pytest.mark.parametrize("name", ["classification", "masked"])
def test_accumulated_gradients_equal_one_large_batch(name: str) -> None:
    assert_same_step(step_of(name, accumulate=4), step_of(name), name)


def test_negative_control_another_seed_of_the_masks_has_other_gradients() -> None:
    with pytest.raises(AssertionError):
        assert_same_step(step_of("classification"), step_of("masked"), "masked")


def test_run_that_changes_its_ranks_ends_in_the_same_weights(
    ranks: tuple[list[dict[str, Any]], RunFolder], tmp_path: Path
) -> None:
    """2 ranks (fsdp), 1 process, 2 ranks (ddp), 2 ranks (fsdp), against 1 process; EMA too, and
    what is kept of the weights on the way."""
    whole, changed = RunFolder(tmp_path), ranks[1]
    config = noise_run(ema=0.5)
    whole.claim(config)
    train(config, whole, CPU, snapshots=SNAPSHOTS)
    names = ["weights.safetensors", "ema.safetensors"]
    for name in [*names, *(whole.snapshot(step).name for step in SNAPSHOTS)]:
        expected, found = load_file(whole.path / name), load_file(changed.path / name)
        assert set(found) == set(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    losses = [
        [json.loads(line)["loss"] for line in run.metrics.read_text().splitlines()]
        for run in (changed, whole)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(losses[0]) == 2
    assert not changed.checkpoint.exists()
