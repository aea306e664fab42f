"""Levels of the dual tree: filters, strides and modes.

`_engine.dtcwt_levels` defines and computes a level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._engine.dtcwt_filters import BIORTS, QSHIFTS, biorthogonal_pair, qshift_filter
from wavevit.wavelets._engine.modes import extend, source
from wavevit.wavelets._engine.symbolic_shapes import exporting

__all__ = [
    "LEVELS",
    "PAIRS",
    "Level",
    "extended",
    "extended_adjoint",
    "first_level",
    "later_level",
    "level_of",
    "zeros_around",
]

_HALF = math.sqrt(0.5)

# Pairs of orientations (of six, from 15° in steps of 30°) with their (row, column) bands: what is
# high-pass along a column only is a horizontal edge, 15° and 165°.
PAIRS = (((0, 5), (0, 1)), ((1, 4), (1, 1)), ((2, 3), (1, 0)))


class Level(NamedTuple):
    """One level along one dimension.

    Attributes:
        stride: samples between the supports of neighbouring outputs of one phase.
        pad: samples by which each end of the signal is extended.
        taps: ``taps[band][phase]``, bands low and high, all of one length, which `stride` divides.
    """

    stride: int
    pad: int
    taps: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]


def first_level(low: Sequence[float], high: Sequence[float]) -> Level:
    """Level 1 of two filters of odd length, which may differ: the transform convolves with them."""
    middle = max(len(low), len(high)) // 2

    def phases(filter_: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        margin = (0.0,) * (middle - len(filter_) // 2)
        taps = (*margin, *filter_[::-1], *margin)
        return (*taps, 0.0), (0.0, *taps)

    return Level(2, middle, (phases(low), phases(high)))


def later_level(
    low_a: Sequence[float],
    low_b: Sequence[float],
    high_a: Sequence[float],
    high_b: Sequence[float],
) -> Level:
    """A later level of four filters of one even length, with which the transform convolves.

    One tree reads even samples, the other odd ones; the output has them side by side again.
    """

    def every_second(filter_: Sequence[float], odd: int) -> tuple[float, ...]:
        spread = [0.0] * (2 * len(filter_))
        spread[odd::2] = filter_[::-1]
        return tuple(spread)

    low = (every_second(low_b, 0), every_second(low_a, 1))
    high = (every_second(high_a, 1), every_second(high_b, 0))
    return Level(4, len(low_a) - 2, (low, high))


def _orthonormal_level(low_a: tuple[float, ...]) -> Level:
    low_b = low_a[::-1]
    high_a = tuple((-1) ** k * tap for k, tap in enumerate(low_b))
    return later_level(low_a, low_b, high_a, high_a[::-1])


# By name, so that a compiled graph holds a string and no table: level 1 has its own filters for
# each direction, the later levels are orthonormal and have one.
_FILTERS = {name: biorthogonal_pair(name) for name in BIORTS}
LEVELS = {
    **{f"analysis {name}": first_level(p.h0, p.h1) for name, p in _FILTERS.items()},
    **{f"synthesis {name}": first_level(p.g0, p.g1) for name, p in _FILTERS.items()},
    **{name: _orthonormal_level(qshift_filter(name)) for name in QSHIFTS},
}


def level_of(name: str | Level) -> Level:
    """The level of a key of `LEVELS`, or the one that a caller made of its own taps."""
    return name if isinstance(name, Level) else LEVELS[name]


def _extensions(length: int, pad: int) -> list[int]:
    """Widths of the steps that extend a signal by `pad`: none reaches past the signal itself."""
    steps = []
    while pad > 0:
        steps.append(min(length, pad))
        length, pad = length + 2 * steps[-1], pad - steps[-1]
    return steps


def extended(x: Tensor, pad: int, mode: str, dim: int) -> Tensor:
    """Extends both ends: half-sample symmetry (…, x₁, x₀ | x₀, x₁, …), periodically, by zeros."""
    if mode == "zero":
        return F.pad(x, zeros_around(dim, pad, pad))
    if exporting():
        return extend(x, dim, pad, pad, mode)
    for step in _extensions(x.shape[dim], pad):
        head, tail = x.narrow(dim, 0, step), x.narrow(dim, x.shape[dim] - step, step)
        if mode == "symmetric":
            x = torch.cat([head.flip(dim), x, tail.flip(dim)], dim)
        else:
            x = torch.cat([tail, x, head], dim)
    return x


def extended_adjoint(x: Tensor, pad: int, mode: str, dim: int) -> Tensor:
    """Adjoint of `extended`: what was copied out of the signal is added back."""
    if mode == "zero":
        return x.narrow(dim, pad, x.shape[dim] - 2 * pad)
    if exporting():
        length = x.shape[dim] - 2 * pad
        steps = torch.arange(pad, device=x.device)
        head, tail = x.narrow(dim, 0, pad), x.narrow(dim, length + pad, pad)
        x = x.narrow(dim, pad, length).index_add(dim, source(steps - pad, length, mode), head)
        return x.index_add(dim, source(steps + length, length, mode), tail)
    for step in reversed(_extensions(x.shape[dim] - 2 * pad, pad)):
        length = x.shape[dim] - 2 * step
        head, tail = x.narrow(dim, 0, step), x.narrow(dim, length + step, step)
        if mode == "symmetric":
            head, tail = head.flip(dim), tail.flip(dim)
        else:
            head, tail = tail, head
        after, before = zeros_around(dim, 0, length - step), zeros_around(dim, length - step, 0)
        x = x.narrow(dim, step, length) + F.pad(head, after) + F.pad(tail, before)
    return x


def zeros_around(dim: int, before: int, after: int) -> list[int]:
    return [before, after] if dim == -1 else [0, 0, before, after]
