"""Gradients of one training step: precision, parts of a batch, ranks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.batches import rank_slice
from experiments.core.distributed import mean_over_all, synchronised
from wavevit.checks import fail
from wavevit.tasks import Losses
from wavevit.tasks.draws import PartGenerator
from wavevit.tasks.gathering import rank_and_world

__all__ = ["StepLosses", "autocast", "check_share", "gradients"]


@dataclass(frozen=True)
class StepLosses:
    """Losses of a step, means over all examples.

    Attributes:
        total: what is minimised.
        others: terms of the loss, where there are several, and what the task reports.
    """

    total: float
    others: dict[str, float]


def autocast(name: str, device: torch.device) -> torch.autocast | nullcontext[None]:
    """The context of the forward pass for an `ExecutionConfig.precision`.

    Raises:
        ValueError: bfloat16 on a GPU that does not have it.
    """
    if name == "float32":
        return nullcontext()
    if device.type != "cuda":
        return torch.autocast(device.type, torch.bfloat16) if name == "bf16" else nullcontext()
    if torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    if name == "bf16":
        fail("execution.precision", "'float32' (this GPU has no bfloat16)", repr(name))
    return nullcontext()


def check_share(batch_size: int, accumulate: int, reduction: str) -> None:
    """Refuses what the ranks of the process group cannot share equally.

    Args:
        batch_size: of all ranks together.
        accumulate: parts of each rank's share.
        reduction: of the task.

    Raises:
        ValueError: a batch that they cannot share, or a loss inside one process.
    """
    world = rank_and_world()[1]
    if batch_size % (world * accumulate):
        expected = f"a multiple of {world * accumulate} (ranks times execution.accumulate)"
        fail("optimizer.batch_size", expected, batch_size)
    if world > 1 and reduction == "whole":
        fail("task", "a loss that several ranks can share (Task.reduction)", "reduction = 'whole'")


def gradients(
    model: nn.Module,
    batch: Mapping[str, Any],
    seed: int,
    accumulate: int = 1,
    precision: str = "float32",
) -> StepLosses:
    """Adds the gradients of the loss of a batch to the parameters, the same on every rank.

    Args:
        model: a task, or what `experiments.core.distributed.shared` made of it.
        batch: this rank's part of the batch of all ranks, as large as theirs.
        seed: of what the loss draws.
        accumulate: parts of this batch, one after the other.
        precision: see `ExecutionConfig`.

    Guarantees:
        Loss and gradients do not depend on the number of ranks, nor on the number of parts for
        tasks whose loss is a mean over examples, but for rounding and for what layers themselves
        draw, such as dropout (tests/experiments/test_distributed.py).
    """
    rank, world = rank_and_world()
    own = len(batch["images"])
    found = []
    for index in range(accumulate):
        part = batch if accumulate == 1 else rank_slice(batch, index, accumulate)
        start = rank * own + index * own // accumulate
        generator = PartGenerator(seed, start, own * world)
        with synchronised(model, last=index == accumulate - 1):
            with autocast(precision, batch["images"].device):
                losses: Losses = model(part, generator)
                total = losses.total
            (total / accumulate if accumulate > 1 else total).backward()
        found.append(_named(losses, total))
    names = list(found[0])
    for other in found[1:]:
        names = [name for name in names if name in other]
    values = torch.stack([torch.stack([one[name].double() for name in names]) for one in found])
    means = mean_over_all(values.mean(0)).tolist()
    return StepLosses(means[0], dict(zip(names[1:], means[1:], strict=True)))


def _named(losses: Losses, total: Tensor) -> dict[str, Tensor]:
    """Scalars of a step without gradients, the total first."""
    parts = losses.parts if len(losses.parts) > 1 else {}
    return {
        "": total.detach(),
        **{name: torch.as_tensor(x).to(total.device) for name, x in losses.report.items()},
        **{name: x.detach() for name, x in parts.items()},
    }
