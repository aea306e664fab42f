"""Dual-tree filters given as taps instead of a name, as in pytorch-wavelets.

Named filters are symmetric at level 1 and each other's time reverse later, and then the inverse is
an adjoint (`_engine.dtcwt_levels`). Of any taps that a caller may bring that is true away
from the borders only: at a border pytorch-wavelets extends the coefficients as it extends images,
and so does `synthesise_extended`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_choice, fail
from wavevit.wavelets._engine.dtcwt_bank import Level, extended, first_level, later_level
from wavevit.wavelets._engine.dtcwt_filters import BIORTS, QSHIFTS
from wavevit.wavelets._engine.dtcwt_levels import synthesise
from wavevit.wavelets._engine.dtcwt_tree import Step, Steps

__all__ = ["MODES", "Filters", "check_pair", "numbers_of", "steps_from", "synthesise_extended"]

Filters = str | Sequence[Any]  # a name, or filters as sequences, arrays or tensors
# All that are accepted; the original takes whatever is not "symmetric" for "zero".
_ZERO = ("constant", "reflect", "replicate", "periodic", "periodization", "per")
MODES = ("symmetric", "zero", *_ZERO)
_HALF = math.sqrt(0.5)


def steps_from(biort: Filters, qshift: Filters, mode: str, way: str) -> Steps:
    """The levels that filters given by name or as taps make.

    Args:
        biort: a name of `BIORTS`, or the low-pass and the high-pass of level 1 in the direction
            `way`, each of odd length.
        qshift: a name of `QSHIFTS`, or four filters of one even length: the low-passes of trees a
            and b, then their high-passes.
        mode: what lies beyond the border at level 1, one of `MODES`; all but ``"symmetric"`` mean
            zeros, and a warning says so where the name does not. Later levels are symmetric: that
            is the original.
        way: ``"analysis"`` or ``"synthesis"``.

    Raises:
        ValueError: an unknown name or mode, another number of filters, lengths that do not fit.
    """
    if check_choice("mode", mode, MODES) in _ZERO:
        warnings.warn(f"mode {mode!r} means 'zero', as in pytorch-wavelets", stacklevel=3)
        mode = "zero"
    first: str | Level
    later: str | Level
    if isinstance(biort, str):
        first = f"{way} {check_choice('biort', biort, BIORTS)}"
    else:
        first = first_level(*_taps("biort", biort, 2, way))
    if isinstance(qshift, str):
        later = check_choice("qshift", qshift, QSHIFTS)
    else:
        later = later_level(*_taps("qshift", qshift, 4, way))
    return Steps(Step(first, mode), Step(later, "symmetric"))


def check_pair(coeffs: Any) -> tuple[Any, Sequence[Any]]:
    """Returns ``(yl, yh)`` if that is what coefficients are; `yh` is a sequence."""
    if not isinstance(coeffs, tuple | list) or len(coeffs) != 2:
        got = type(coeffs).__name__
        got += f" of {len(coeffs)}" if isinstance(coeffs, tuple | list) else ""
        fail("coeffs", "a pair (yl, yh)", got)
    low, high = coeffs
    if high is not None and not isinstance(high, tuple | list):
        expected = "a sequence with one tensor (or None) for each level"
        fail("coeffs[1]", expected, type(high).__name__)
    return low, high or ()


def numbers_of(argument: str, filter_: Any) -> tuple[float, ...]:
    """Taps of a sequence, an array or a tensor of any shape."""
    try:
        return tuple(np.asarray(filter_, dtype=float).ravel().tolist())
    except (TypeError, ValueError):
        fail(argument, "a filter, as numbers", repr(filter_))


def _taps(argument: str, filters: Sequence[Any], number: int, way: str) -> list[tuple[float, ...]]:
    if not hasattr(filters, "__len__") or len(filters) != number:
        got = f"{len(filters)} filters" if hasattr(filters, "__len__") else repr(filters)
        fail(argument, f"a name or {number} filters", got)
    taps = [numbers_of(f"{argument}[{index}]", each) for index, each in enumerate(filters)]
    lengths = [len(each) for each in taps]
    if number == 2 and not all(length % 2 for length in lengths):
        fail(argument, "filters of odd length", lengths)
    if number == 4 and (lengths[0] % 2 or len(set(lengths)) > 1 or not lengths[0]):
        fail(argument, "four filters of one even length", lengths)
    # The adjoint of a convolution is one with the reversed filter.
    return taps if way == "analysis" else [each[::-1] for each in taps]


def synthesise_extended(approx: Tensor, details: Tensor, level: str | Level, mode: str) -> Tensor:
    """One level up, coefficients extended beyond the border as `mode` says."""
    if isinstance(level, str) or mode == "zero":
        return synthesise(approx, details, level, mode)
    reach = len(level.taps[0][0]) // level.stride
    maps = torch.cat([approx[:, :, None], _interleaved(details)], dim=2)
    maps = extended(extended(maps, 2 * reach, mode, -1), 2 * reach, mode, -2)
    whole = synthesise(maps[:, :, 0], _oriented(maps[:, :, 1:]), level, "zero")
    margin = level.stride * reach
    return whole[..., margin:-margin, margin:-margin]


def _interleaved(details: Tensor) -> Tensor:
    """Six orientations (B, C, 6, 2, h, w) as the three bands of four trees, (B, C, 3, 2h, 2w)."""
    real_1, imag_1 = details[:, :, :3].unbind(3)
    real_2, imag_2 = details[:, :, 3:].flip(2).unbind(3)
    quads = (real_1 + real_2, imag_1 + imag_2, imag_1 - imag_2, real_2 - real_1)
    return F.pixel_shuffle(_HALF * torch.stack(quads, dim=3), 2).squeeze(3)


def _oriented(bands: Tensor) -> Tensor:
    """`_interleaved` backwards."""
    a, b, c, d = (_HALF * F.pixel_unshuffle(bands.unsqueeze(3), 2)).unbind(3)
    first, second = torch.stack([a - d, b + c], dim=3), torch.stack([a + d, b - c], dim=3)
    return torch.cat([first, second.flip(2)], dim=2)
