"""Examples of all ranks in the loss of each: a differentiable all-gather."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from wavevit.checks import fail

__all__ = ["gathered", "mean_over_ranks", "rank_and_world", "sum_over_ranks"]


def rank_and_world() -> tuple[int, int]:
    """Number of this process and number of processes; (0, 1) without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class _Gather(torch.autograd.Function):
    """All-gather whose gradient is the sum of what all ranks ask of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x)
        ctx.rows = x.shape[0]
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Reduce-scatter would send less, but gloo has none on every version of torch.
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        start = dist.get_rank() * ctx.rows
        return gradient[start : start + ctx.rows]


def gathered(x: Tensor) -> Tensor:
    """Rows (B, …) of all ranks (R·B, …), in the order of the ranks; without a group, `x` itself.

    Gradients of all ranks' losses flow back to the rows of each rank. Where each rank's loss is a
    mean over its own examples, DistributedDataParallel's average of the gradients is then the
    gradient of the mean over all examples.

    Args:
        x: as many rows on every rank.

    Raises:
        ValueError: another number of rows on another rank; every rank raises it.

    Guarantees:
        Loss and gradients on 2 ranks equal those on 1 (tests/properties/test_contrastive_laws.py).
    """
    world = rank_and_world()[1]
    if world == 1:
        return x
    rows = [torch.zeros(1, dtype=torch.long, device=x.device) for _ in range(world)]
    dist.all_gather(rows, torch.tensor([len(x)], device=x.device))
    counts = [int(row) for row in rows]
    if len(set(counts)) > 1:
        fail("batch['images']", "as many examples on every rank", counts)
    everything: Tensor = _Gather.apply(x.contiguous())
    return everything


def mean_over_ranks(loss: Tensor) -> Tensor:
    """A rank's loss with the value of the mean over all ranks, and with its own gradient."""
    world = rank_and_world()[1]
    if world == 1:
        return loss
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    return loss + (mean / world - loss.detach())


def sum_over_ranks(value: Tensor) -> Tensor:
    """Sum of a number over all ranks, without a gradient; without a group, the number itself."""
    total = value.detach().clone()
    if rank_and_world()[1] > 1:
        dist.all_reduce(total)
    return total
