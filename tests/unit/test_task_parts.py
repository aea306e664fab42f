"""Losses of parts of a batch: the same draws for each example, and a mean over the parts."""

from __future__ import annotations

import pytest
import torch

from wavevit.tasks import TASKS, create_task, sliced
from wavevit.tasks.draws import PartGenerator, draw_examples
from wavevit.tasks.gathering import alone, rank_and_world, sum_over_ranks

MEANS = ("autoregressive", "classification", "diffusion", "masked")


def test_tasks_whose_loss_is_a_mean_over_examples() -> None:
    ours = [name for name in TASKS.names() if TASKS.get(name).__module__.startswith("wavevit.")]
    assert {name for name in ours if TASKS.get(name).reduction == "mean"} == set(MEANS)
    assert {TASKS.get(name).reduction for name in ours} == {"mean", "ranks"}


@torch.no_grad()
@pytest.mark.parametrize("name", MEANS)
def test_losses_of_parts_average_to_that_of_the_batch(name: str) -> None:
    torch.manual_seed(0)
    task = create_task(name, "test_vit", num_classes=4, img_size=32).double()
    batch = task.dummy_batch(4, torch.Generator().manual_seed(1))
    whole = task.loss(batch, torch.Generator().manual_seed(2)).total
    parts = [
        task.loss(sliced(batch, start, start + 2), PartGenerator(2, start, 4)).total
        for start in (0, 2)
    ]
    assert float((torch.stack(parts).mean() - whole).abs()) < 1e-6 * float(whole)
    if name in ("diffusion", "masked"):  # negative control: draws of a part that is the whole
        other = task.loss(sliced(batch, 2, 4), torch.Generator().manual_seed(2)).total
        assert float((other - parts[1]).abs()) > 1e-6


def test_bad_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="start: expected a number from 0 to 3, got 4"):
        PartGenerator(0, 4, 4)
    with pytest.raises(ValueError, match="generator: expected a part of 3 examples of 4"):
        draw_examples(torch.zeros, 3, PartGenerator(0, 2, 4))


def test_one_process_is_alone() -> None:
    with alone():
        assert rank_and_world() == (0, 1)
    assert float(sum_over_ranks(torch.tensor(3.0, requires_grad=True))) == 3.0
