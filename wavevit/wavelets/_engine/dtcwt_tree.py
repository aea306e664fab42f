"""All levels of the dual tree: the loops over levels, and how sides are extended and trimmed.

A level needs sides that its stride divides. In the analysis border samples are repeated until it
does; in the synthesis an approximation that was extended is larger than its details and is trimmed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import fail
from wavevit.wavelets._engine.coefficients import check_maps
from wavevit.wavelets._engine.dtcwt_bank import Level
from wavevit.wavelets._engine.dtcwt_levels import (
    analyse,
    approximate,
    compute_dtype,
    low_pass_matrix,
    synthesise,
)
from wavevit.wavelets._engine.magnitudes import Banded
from wavevit.wavelets._engine.symbolic_shapes import certainly, exporting, fixed, index_within, take

__all__ = ["Step", "Steps", "decompose", "low_pass", "mean_of_trees", "recompose"]


class Step(NamedTuple):
    """How a level is computed: the arguments of `analyse` and `synthesise` after the images."""

    level: str | Level
    mode: str


class Steps(NamedTuple):
    """Level 1 and the later ones."""

    first: Step
    later: Step


def _pad(x: Tensor, stride: int) -> Tensor:
    """Repeats border samples until `stride`, 2 or 4, divides each side.

    An odd side gets one more at its end; an even side that 4 does not divide one at either end.
    """
    for dim in (-2, -1):
        side = x.shape[dim]
        total = stride * ((side // (stride // 2) + 1) // 2)
        before = (total - side) // 2
        if exporting():
            x = x.index_select(dim, index_within(-before, total - before, side, x.device))
        elif total != side:
            after = total - side - before
            ends = x.narrow(dim, 0, before), x.narrow(dim, side - after, after)
            x = torch.cat([ends[0], x, ends[1]], dim)
    return x


def mean_of_trees(approx: Tensor) -> Tensor:
    """The four trees' approximations as one low-pass, (B, C, 2h, 2w) to (B, C, h, w)."""
    if certainly(approx.shape[1] == 0):  # which a pool refuses
        return approx[..., ::2, ::2]
    return F.avg_pool2d(approx, 2)


@lru_cache(maxsize=128)
def low_pass(levels: int, steps: Steps, side: int) -> Banded:
    """One axis of the low-pass of so many levels, trees averaged; none for 0 levels."""
    matrix = np.eye(side)
    for index in range(levels):
        step, stride = (steps.later, 4) if index else (steps.first, 2)
        length = len(matrix)
        total = stride * ((length // (stride // 2) + 1) // 2)  # as `_pad`
        before = (total - length) // 2
        matrix = matrix[np.arange(-before, total - before).clip(0, length - 1)]
        matrix = low_pass_matrix(step.level, step.mode, total) @ matrix
    if levels:
        matrix = (matrix[0::2] + matrix[1::2]) / 2
    return Banded.of(matrix)


def decompose(
    x: Tensor, level: int, steps: Steps, skip: Sequence[bool] = ()
) -> tuple[list[Tensor], list[Tensor]]:
    """Approximations and details of every level, fine to coarse, in the dtype of computation.

    Where `skip` is true the details are not computed, and a tensor of no dimension stands for them.
    """
    approximations, bands = [], []
    for index in range(level):
        step = steps.later if index else steps.first
        x = _pad(x, 4 if index else 2)
        if skip and skip[index]:
            x, details = approximate(x, *step), x.new_zeros([])
        else:
            x, details = analyse(x, *step)
        approximations.append(x)
        bands.append(details)
    return approximations, bands


def recompose(
    approx: Tensor,
    details: Sequence[Tensor],
    steps: Steps,
    argument: str = "pyramid.details",
    up: Callable[..., Tensor] = synthesise,
) -> Tensor:
    """Images from an approximation and details, in their own dtype, rounded once.

    Args:
        approx: (B, C, 2h, 2w), or larger by the samples that `decompose` added.
        details: of every level, coarse to fine, (B, C, 6, 2, h, w).
        steps: with the filters of synthesis.
        argument: what the caller calls `details`.
        up: computes one level, called as `synthesise` is.

    Raises:
        ValueError: details that do not fit.
    """
    low = approx.to(compute_dtype(approx.dtype))
    for index, bands in enumerate(details):
        name = f"{argument}[{index}]"
        _check_details(approx, bands, name)
        step = steps.first if index == len(details) - 1 else steps.later
        low = up(_trim(low, bands, name), bands.to(low.dtype), *step)
    return low.to(approx.dtype) if details else approx.clone()


def _check_details(approx: Tensor, details: Tensor, argument: str) -> None:
    shape = tuple(getattr(details, "shape", ()))
    if len(shape) != 6 or (fixed(shape[2]), fixed(shape[3])) != (6, 2):
        fail(argument, "a tensor of shape (B, C, 6, 2, h, w)", f"shape {shape}")
    if details.dtype != approx.dtype:
        fail(argument, f"the approximation's dtype {approx.dtype}", details.dtype)
    check_maps(details, argument, approx)


def _trim(approx: Tensor, details: Tensor, argument: str) -> Tensor:
    """Removes the sample at either end by which an approximation was extended."""
    for axis in (-2, -1):
        side, wanted = approx.shape[axis], 2 * details.shape[axis]
        if exporting() or side == wanted + 2:
            approx = take(approx, axis, (side - wanted) // 2, wanted)
        elif side != wanted:
            expected = f"{side // 2} or {side // 2 - 1} on axis {axis}, half the approximation"
            fail(argument, expected, tuple(details.shape))
    return approx
