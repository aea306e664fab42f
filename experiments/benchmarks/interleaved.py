"""Times contenders in turn, so that a slow moment of the machine meets all alike.

Every contender runs once a round, in turning order; a figure is the median over rounds, a multiple
the median of the ratios within a round. The limit is ``x.clone()``, one read and one write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, int, int, int]
Transform = Callable[[Tensor], Sequence[Tensor]]

LIMIT, OURS = "clone", ("wavevit", "wavevit compiled")
LIBRARIES = ("pytorch-wavelets", "ptwt")
_FEWEST = 3  # rounds, however slow
Clock = Callable[[Callable[[], Any], int], float]  # a call and how often, to seconds of one


def clocked(
    run: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> Callable[[], float]:
    """The seconds of a call, as a call.

    Args:
        run: what is timed.
        clock: ``time.process_time`` counts what this process alone computes.
    """

    def seconds() -> float:
        begin = clock()
        run()
        return clock() - begin

    return seconds


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


def times(
    passes: Mapping[str, Callable[[], float]], rounds: int, budget: float = float("inf")
) -> dict[str, list[float]]:
    """Seconds that each pass says it took, round by round, in turning order.

    Args:
        passes: by contender.
        rounds: at most; one more comes first and is not counted, as it compiles and fills caches.
        budget: seconds after which no new round begins, once there are three.
    """
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    names = list(passes)
    begin = time.perf_counter()
    for turn in range(rounds + 1):
        if turn > _FEWEST and time.perf_counter() - begin > budget:
            break
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            elapsed = passes[name]()
            if turn:
                seconds[name].append(elapsed)
    return seconds


def medians(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of the seconds that `times` gave, by contender."""
    return {name: median(own) for name, own in seconds.items()}


def multiples(seconds: Mapping[str, Sequence[float]], reference: str) -> dict[str, float]:
    """The median of the ratios within a round to the reference's seconds, by contender."""
    return {
        name: median(a / b for a, b in zip(own, seconds[reference], strict=True))
        for name, own in seconds.items()
    }


@contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    """Another number of threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
