"""Extension modes of signals beyond their ends, as in PyWavelets.

For the samples ``a b c d`` of a side:

    periodization   … c d │ a b c d │ a b …    as many coefficients as samples; an odd side repeats
                                               its last sample first
    periodic        … c d │ a b c d │ a b …    the same picture, but every coefficient that touches
                                               the signal is kept, so there are more of them
    symmetric       … b a │ a b c d │ d c …    mirrored, the border sample twice
    reflect         … c b │ a b c d │ c b …    mirrored, the border sample once
    constant        … a a │ a b c d │ d d …    the border sample repeated
    zero            … 0 0 │ a b c d │ 0 0 …
    antisymmetric   …-b-a │ a b c d │-d-c …    the mirror of ``symmetric`` with the other sign
    antireflect     … 2a-c 2a-b │ a b c d │ 2d-c 2d-b …    turned about the border sample
    smooth          … 3a-2b 2a-b │ a b c d │ 2d-c 3d-2c …  a straight line through the last two

Every mode is linear. All but the last three copy samples, so a table of indices is all that a
kernel needs; the last three (`COMPUTED`) mix samples, and an image is extended before a kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_choice, fail
from wavevit.wavelets._engine.symbolic_shapes import certainly

__all__ = [
    "COMPUTED",
    "MODES",
    "as_mode",
    "check_mode",
    "coefficient_count",
    "extend",
    "source",
]

COMPUTED = ("antisymmetric", "antireflect", "smooth")
MODES = ("periodization", "zero", "symmetric", "reflect", "constant", "periodic", *COMPUTED)

# What PyWavelets takes for its modes beside their names: short names, and numbers of `pywt.Modes`.
_SHORT = {"per": "periodization", "sym": "symmetric", "ppd": "periodic", "zpd": "zero"}
_SHORT |= {"cpd": "constant", "sp1": "smooth"}
_NUMBERED = (
    *("zero", "symmetric", "constant", "smooth", "periodic", "periodization", "reflect"),
    *("antisymmetric", "antireflect"),
)


def as_mode(mode: str | int) -> str:
    """The mode behind what a caller gave: its name, its short name or its number in PyWavelets.

    Raises:
        ValueError: none of these; one mode for each axis, which PyWavelets takes.
    """
    if isinstance(mode, str):
        return mode if mode in MODES else check_choice("mode", _SHORT.get(mode, mode), MODES)
    if isinstance(mode, int) and not isinstance(mode, bool) and 0 <= mode < len(_NUMBERED):
        return _NUMBERED[mode]
    if isinstance(mode, tuple | list):
        fail("mode", "one mode for all axes", repr(mode))
    fail("mode", "a name, or a number of pywt.Modes", f"{type(mode).__name__} {mode!r}")


def check_mode(mode: str | int, *sides: int) -> str:
    """The name of `mode` (see `as_mode`), unless there is nothing to mirror.

    Raises:
        ValueError: an unknown mode; ``"reflect"`` or ``"antireflect"`` and a side of 1 pixel.
    """
    mode = as_mode(mode)
    if mode in ("reflect", "antireflect") and any(certainly(side == 1) for side in sides):
        fail("x", f"sides of at least 2 pixels for mode {mode!r}", f"{sides}")
    return mode


def coefficient_count(side: int, taps: int, mode: str) -> int:
    """Coefficients per band of a side of `side` samples, as ``pywt.dwt_coeff_len``."""
    return (side + 1) // 2 if mode == "periodization" else (side + taps - 1) // 2


def extend(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    """Adds `before` and `after` samples along `dim`, counted from the last, however far."""
    side = x.shape[dim]
    if mode == "zero":
        return F.pad(x, (*[0] * 2 * (-1 - dim), before, after))
    # The pieces are gathered and joined: the middle is a plain copy, and its gradient a slice.
    steps = torch.arange(-before, 0, device=x.device)
    left = _beyond(x, dim, steps, mode)
    steps = torch.arange(after, device=x.device) + side
    right = _beyond(x, dim, steps, mode)
    return torch.cat([left, x, right], dim=dim)


def source(position: Tensor, side: int, mode: str) -> Tensor:
    """Index of the sample that stands at `position`, which may lie anywhere, or is copied there."""
    # Sizes enter as tensors: an exported graph with symbolic shapes has no scalars to compute with.
    last = position.new_full((1,), side - 1)
    if mode in ("constant", "smooth"):
        return torch.minimum(position.clamp(min=0), last)
    if mode == "periodization":
        period = side + side % 2
    elif mode == "periodic":
        period = side
    elif mode in ("symmetric", "antisymmetric"):
        period = 2 * side
    else:  # reflect, antireflect
        period = 2 * side - 2
    within = torch.remainder(position, position.new_full((1,), period))
    if mode in ("periodization", "periodic"):
        return torch.minimum(within, last)
    twice = mode in ("symmetric", "antisymmetric")  # the border sample
    return torch.minimum(within, (period - 1 if twice else period) - within)


def _beyond(x: Tensor, dim: int, position: Tensor, mode: str) -> Tensor:
    """The samples at `position`, outside of the signal."""
    side = x.shape[dim]
    copied = x.index_select(dim, source(position, side, mode))
    if mode not in COMPUTED:
        return copied

    def along(weights: Tensor) -> Tensor:
        weights = weights.to(x.dtype)
        return weights.reshape(-1, *[1] * (-1 - dim))

    last = position.new_full((1,), side - 1)
    if mode == "smooth":
        outward = torch.where(position < 0, -position, position - last)
        inner = torch.where(position < 0, last.clamp(max=1), (last - 1).clamp(min=0))
        slope = copied - x.index_select(dim, inner)
        return copied + along(outward) * slope
    # How many mirrors lie between the signal and a place, counted from left to right.
    span = last if mode == "antireflect" else last + 1
    mirrors = torch.div(position, span, rounding_mode="floor")
    odd = torch.remainder(mirrors, 2)
    copied = along(1 - 2 * odd) * copied
    if mode == "antisymmetric":
        return copied
    first, end = x.index_select(dim, last - last), x.index_select(dim, last)
    return copied + along(odd - mirrors) * first + along(odd + mirrors) * end
