"""How long the calls themselves take: on a GPU without what the CPU needs to launch them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

Clock = Callable[[Callable[[], Any], int], float]  # a call and how often, to seconds of one


def clock_of(device: torch.device, ahead: int = 10_000_000) -> Clock:
    """Times so many calls on end.

    Args:
        device: where the calls compute.
        ahead: cycles that a GPU waits before it begins (10 million are some 5 ms), in which the CPU
            queues the calls, as it does inside a network. No more than about 1000 launches fit into
            the queue: what is launched after them is timed with the CPU's part.
    """

    def by_events(run: Callable[[], Any], calls: int) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(ahead)
        start.record()
        for _ in range(calls):
            run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / calls

    def by_wall(run: Callable[[], Any], calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - start) / calls

    return by_events if device.type == "cuda" else by_wall
