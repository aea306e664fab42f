"""Times contenders in turn, so that a slow moment of the machine meets all alike.

Every contender runs once a round, in turning order; a figure is the median over rounds, a multiple
the median of the ratios within a round. The limit is ``x.clone()``, one read and one write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

from experiments.core.records import environment

__all__ = [
    "LIBRARIES",
    "LIMIT",
    "OURS",
    "Shape",
    "Transform",
    "one_pass",
    "packages",
    "summary",
    "times",
]

Shape = tuple[int, int, int, int]
Transform = Callable[[Tensor], Sequence[Tensor]]

LIMIT, OURS = "clone", ("wavevit", "wavevit compiled")
LIBRARIES = ("pytorch-wavelets", "ptwt")
_FEWEST = 3  # rounds, however slow


def one_pass(transform: Transform, x: Tensor, backward: bool) -> Callable[[], object]:
    """The transform of these images as a call, with the gradient of them where `backward`."""
    if not backward:
        return lambda: transform(x)
    leaf = x.clone().requires_grad_()
    cotangents = [torch.randn_like(part) for part in transform(leaf)]
    return lambda: torch.autograd.grad(transform(leaf), leaf, cotangents)


def times(
    passes: dict[str, Callable[[], float]], rounds: int, budget: float = float("inf")
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


def summary(seconds: dict[str, list[float]], backward: bool, threads: int) -> dict[str, Any]:
    """What a record says of the seconds that `times` gave.

    Returns:
        ``pass``, ``threads``, ``rounds``, ``milliseconds`` and ``multiple_of_clone`` by contender;
        where a library is among them, ``times_faster_than_best_library`` of ours.
    """
    milliseconds = {name: 1e3 * median(times) for name, times in seconds.items()}
    cell: dict[str, Any] = {
        "pass": "forward+backward" if backward else "forward",
        "threads": threads,
        "rounds": len(seconds[LIMIT]),
        "milliseconds": {name: round(value, 4) for name, value in milliseconds.items()},
        "multiple_of_clone": {
            name: round(median(a / b for a, b in zip(times, seconds[LIMIT], strict=True)), 2)
            for name, times in seconds.items()
        },
    }
    best = min((milliseconds[name] for name in LIBRARIES if name in milliseconds), default=None)
    if best is not None:
        cell["times_faster_than_best_library"] = {
            name: round(best / milliseconds[name], 2) for name in OURS
        }
    return cell


def packages(threads: int) -> dict[str, Any]:
    """`environment` with the versions of the contenders."""
    return environment(torch.device("cpu"), threads, ["numba", *LIBRARIES])
