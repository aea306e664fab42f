"""Shares the loops that release Python's lock among as many threads as torch would use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch

__all__ = ["share"]

_GRAIN = 1 << 16  # pixels per thread below which a second thread costs more than it brings


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    # By process: the threads of a parent do not live on in a forked DataLoader worker.
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="wavelets")


def share(work: Callable[[int, int], None], units: int, pixels: int) -> None:
    """Calls ``work(start, stop)`` until ``range(units)`` is done; `pixels` says how much it is."""
    threads = min(torch.get_num_threads(), units, pixels // _GRAIN)
    if threads <= 1:
        work(0, units)
        return
    cuts = [units * thread // threads for thread in range(threads + 1)]
    others = [_pool(os.getpid()).submit(work, *cut) for cut in pairwise(cuts[1:])]
    work(cuts[0], cuts[1])
    for other in others:
        other.result()
