"""Runs a function in two processes that form a gloo group; both import this file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests import warm_python

__all__ = ["on_two_ranks"]


def _run(rank: int, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    store = dist.FileStore(str(Path(folder) / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    try:
        torch.save(function(rank, *arguments), Path(folder) / f"rank{rank}.pt")
        dist.barrier()
    finally:
        dist.destroy_process_group()


def on_two_ranks(folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``function(rank, *arguments)`` gives on each of two ranks.

    Args:
        folder: an empty one, for the store and the results.
        function: at the top of a module that imports without pytest.
        *arguments: of that function.
    """
    with warm_python.server():
        mp.start_processes(
            _run, (str(folder), function, arguments), nprocs=2, start_method="forkserver"
        )
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
