"""What a signal is taken to be beyond its borders: PyWavelets' modes, as maps of indices.

For the samples ``a b c d`` of a side:

    periodization   … c d │ a b c d │ a b …    as many coefficients as samples; an odd side repeats
                                               its last sample first
    periodic        … c d │ a b c d │ a b …    the same picture, but every coefficient that touches
                                               the signal is kept, so there are more of them
    symmetric       … b a │ a b c d │ d c …    mirrored, the border sample twice
    reflect         … c b │ a b c d │ c b …    mirrored, the border sample once
    constant        … a a │ a b c d │ d d …    the border sample repeated
    zero            … 0 0 │ a b c d │ 0 0 …
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_choice, fail

__all__ = ["MODES", "check_mode", "coefficient_count", "extend", "source"]

MODES = ("periodization", "zero", "symmetric", "reflect", "constant", "periodic")


def check_mode(mode: str, height: int, width: int) -> None:
    """Refuses an unknown mode, and ``"reflect"`` where there is nothing to mirror.

    Raises:
        ValueError: see above.
    """
    check_choice("mode", mode, MODES)
    if mode == "reflect" and (height == 1 or width == 1):
        fail("x", "sides of at least 2 pixels for mode 'reflect'", f"{(height, width)}")


def coefficient_count(side: int, taps: int, mode: str) -> int:
    """Coefficients per band of a side of `side` samples, as ``pywt.dwt_coeff_len``."""
    return (side + 1) // 2 if mode == "periodization" else (side + taps - 1) // 2


def extend(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    """Adds `before` and `after` samples along `dim`, however far they reach beyond `x`."""
    side = x.shape[dim]
    if mode == "zero":
        return F.pad(x, (before, after) if dim in (-1, x.ndim - 1) else (0, 0, before, after))
    # The pieces are gathered and joined: the middle is a plain copy, and its gradient a slice.
    steps = torch.arange(-before, 0, device=x.device)
    left = x.index_select(dim, source(steps, side, mode))
    steps = torch.arange(after, device=x.device) + side
    right = x.index_select(dim, source(steps, side, mode))
    return torch.cat([left, x, right], dim=dim)


def source(position: Tensor, side: int, mode: str) -> Tensor:
    """Index of the sample that stands at `position`, which may lie anywhere."""
    # Sizes enter as tensors: an exported graph with free sizes has no scalars to compute with.
    last = position.new_full((1,), side - 1)
    if mode == "constant":
        return torch.minimum(position.clamp(min=0), last)
    if mode == "periodization":
        period = side + side % 2
    elif mode == "periodic":
        period = side
    elif mode == "symmetric":
        period = 2 * side
    else:  # reflect
        period = 2 * side - 2
    folded = torch.remainder(position, position.new_full((1,), period))
    if mode in ("periodization", "periodic"):
        return torch.minimum(folded, last)
    return torch.minimum(folded, (period - 1 if mode == "symmetric" else period) - folded)
