"""Several processes that train one model: the group that torchrun starts, DDP, `fully_shard`.

Rank 0 does what one process does: it plans, logs, writes and measures. The other ranks wait for its
calls and take part in training only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wavevit.checks import check_choice
from wavevit.tasks import Task
from wavevit.tasks.gathering import rank_and_world

__all__ = [
    "PARALLEL",
    "call_ranks",
    "calls_of_rank_0",
    "launched_ranks",
    "mean_over_all",
    "of_all_ranks",
    "placed_like",
    "process_group",
    "rank_device",
    "shared",
    "synchronised",
    "whole",
]

PARALLEL = ("ddp", "fsdp")
# Rank 0 measures while the others wait for its next call.
_PATIENCE = timedelta(days=7)
_CALLS: list[dist.ProcessGroup] = []  # the group of the calls, on the CPU, while there is one


def launched_ranks() -> int:
    """Number of processes that torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank_device(device: torch.device) -> torch.device:
    """The device of this rank: of several GPUs of a machine the one with its local number."""
    if device.type == "cuda" and launched_ranks() > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """The group of all ranks that torchrun started: NCCL on GPUs, gloo on CPUs.

    Args:
        device: of this rank (`rank_device`).
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    store, rank, world = next(dist.rendezvous("env://"))
    # torchrun keeps its store when it starts killed ranks again, and a rank would find the address
    # that another one had before. So every start has keys of its own.
    own = dist.PrefixStore(f"start{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=own, rank=rank, world_size=world)
    _CALLS.append(dist.new_group(backend="gloo", timeout=_PATIENCE))
    try:
        yield
    finally:
        _CALLS.clear()
        dist.destroy_process_group()


def call_ranks(call: Mapping[str, Any] | None) -> None:
    """On rank 0: sends a call to all other ranks; None ends their `calls_of_rank_0`."""
    if _CALLS:
        dist.broadcast_object_list([call], src=0, group=_CALLS[0])


def calls_of_rank_0() -> Iterator[Mapping[str, Any]]:
    """On all other ranks: the calls of rank 0, until it ends them."""
    while True:
        held: list[Any] = [None]
        dist.broadcast_object_list(held, src=0, group=_CALLS[0])
        if held[0] is None:
            return
        yield held[0]


def shared(task: Task, parallel: str) -> nn.Module:
    """The task as a module whose backward pass averages gradients over all ranks.

    Call it as the task itself. With one process it is the task. Make the optimiser afterwards:
    `fully_shard` replaces the parameters.

    Args:
        task: with the same weights on every rank.
        parallel: ``"ddp"``, where every rank has the whole model, or ``"fsdp"``, where every rank
            has a part of each of `Task.fsdp_units` and of what is outside of them.

    Raises:
        ValueError: another name.
    """
    check_choice("parallel", parallel, PARALLEL)
    if rank_and_world()[1] == 1:
        return task
    if parallel == "ddp":
        return DistributedDataParallel(task, gradient_as_bucket_view=True)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # By default the mesh is one of GPUs where there are any, even for a model on the CPU.
    mesh = init_device_mesh(next(task.parameters()).device.type, (rank_and_world()[1],))
    for unit in (*task.fsdp_units(), task):
        fully_shard(unit, mesh=mesh)
    return task


def synchronised(model: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Context of a forward and backward pass that averages gradients over ranks only if `last`.

    Args:
        model: from `shared`.
        last: whether this is the last of the passes that one optimiser step adds up.
    """
    if isinstance(model, DistributedDataParallel):
        return nullcontext() if last else model.no_sync()
    switch = getattr(model, "set_requires_gradient_sync", None)  # of `fully_shard`
    if switch is not None:
        switch(last)
    return nullcontext()


def mean_over_all(values: Tensor) -> Tensor:
    """The mean of a tensor over all ranks, on each of them; without a group, the tensor itself."""
    world = rank_and_world()[1]
    if world == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total / world


def of_all_ranks(value: Any) -> list[Any]:
    """What each rank gives, in the order of the ranks; every rank must ask."""
    world = rank_and_world()[1]
    if world == 1:
        return [value]
    found: list[Any] = [None] * world
    dist.all_gather_object(found, value)
    return found


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that `fully_shard` spread over the ranks; every rank must ask for it."""
    gather = getattr(tensor, "full_tensor", None)
    full: Tensor = tensor if gather is None else gather()
    return full.detach()


def placed_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor on the device of another one, and spread over the ranks as that one is.

    Every rank has the whole tensor and takes its own part: nothing is sent.
    """
    tensor = tensor.to(like.device)
    if not hasattr(like, "full_tensor") or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
