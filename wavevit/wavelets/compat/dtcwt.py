"""Drop-in dual-tree classes for pytorch-wavelets, with equal names, arguments and values.

The layout is that of pytorch-wavelets: levels fine to coarse, real and imaginary parts last.
Differences: gradients are right at every size and for all filters, and half precision,
``torch.compile`` and forward-mode derivatives work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from wavevit.checks import check_at_least, check_image, fail
from wavevit.wavelets._engine.dtcwt_levels import compute_dtype
from wavevit.wavelets._engine.dtcwt_tree import decompose, recompose
from wavevit.wavelets._engine.symbolic_shapes import fixed
from wavevit.wavelets.compat.taps import (
    Filters,
    check_pair,
    steps_from,
    synthesise_extended,
)

__all__ = ["DTCWTForward", "DTCWTInverse"]


class _Layout(NamedTuple):
    """Where the orientations and the complex parts are among the six axes of a band tensor."""

    o_dim: int
    ri_dim: int

    def outward(self, details: Tensor) -> Tensor:
        """(B, C, 6, 2, h, w) to the caller's layout, in memory too."""
        return details.movedim((2, 3), (self.o_dim, self.ri_dim)).contiguous()

    def inward(self, details: Tensor) -> Tensor:
        """The caller's layout to (B, C, 6, 2, h, w)."""
        return details.movedim((self.o_dim, self.ri_dim), (2, 3))


def _layout(o_dim: int, ri_dim: int) -> _Layout:
    for name, axis in (("o_dim", o_dim), ("ri_dim", ri_dim)):
        if not isinstance(axis, int) or isinstance(axis, bool):
            fail(name, "an axis, an integer", repr(axis))
    if o_dim % 6 == ri_dim % 6:
        fail("o_dim", "another axis than ri_dim", f"{o_dim} beside ri_dim {ri_dim}")
    return _Layout(o_dim % 6, ri_dim % 6)


def _per_level(argument: str, value: Any, levels: int) -> list[bool]:
    values = [bool(v) for v in value] if hasattr(value, "__len__") else [bool(value)] * levels
    if len(values) < levels:
        fail(argument, f"one boolean or {levels} of them", f"{len(values)}")
    return values[:levels]  # of more the original reads the first


class DTCWTForward(nn.Module):
    """`wavevit.wavelets.dtcwt2` under pytorch-wavelets' name and layout.

    Args:
        biort: filters of level 1: a name, or the low-pass and the high-pass as sequences of taps.
        qshift: filters of the later levels: a name, or four sequences of taps, the low-passes of
            trees a and b and then their high-passes.
        J: number of levels; 0 returns a copy of the images and None.
        skip_hps: one boolean, or one for each level, fine to coarse: leave out the bands of this
            level (they are an empty tensor).
        include_scale: one boolean, or one for each level: if any is true, the first output is a
            list of every level's approximation instead of the last one (empty tensors if false).
        o_dim: axis of the orientations in a band tensor.
        ri_dim: axis of the real and imaginary parts.
        mode: ``"symmetric"``, or ``"zero"`` for zeros beyond the borders of level 1; later
            levels are always symmetric. As in pytorch-wavelets, its other names
            (``"periodic"``, ``"reflect"``, …) also mean zeros; these classes give a warning.

    Raises:
        ValueError: unknown names, taps that make no level, both axes the same, a wrong number of
            booleans.

    Guarantees:
        Equal to pytorch-wavelets 1.3.0 with equal taps to 1e-12 in float64 (by name, to the 8
        printed decimals of a Q-shift filter); gradients agree with finite differences
        (tests/parity/test_compat_dtcwt.py, tests/parity/test_compat_arguments.py).
    """

    def __init__(
        self,
        biort: Filters = "near_sym_a",
        qshift: Filters = "qshift_a",
        J: int = 3,
        skip_hps: bool | Sequence[bool] = False,
        include_scale: bool | Sequence[bool] = False,
        o_dim: int = 2,
        ri_dim: int = -1,
        mode: str = "symmetric",
    ) -> None:
        super().__init__()
        self._steps = steps_from(biort, qshift, mode, "analysis")
        self.biort, self.qshift, self.mode = biort, qshift, mode
        self.J = check_at_least("J", J, 0)
        self.o_dim, self.ri_dim = o_dim, ri_dim
        self._layout = _layout(o_dim, ri_dim)
        self.skip_hps = _per_level("skip_hps", skip_hps, J)
        self.include_scale = _per_level("include_scale", include_scale, J)

    def forward(self, x: Tensor) -> tuple[Tensor | list[Tensor], list[Tensor] | None]:
        """(B, C, H, W) to ``(yl, yh)``, `yh` fine to coarse."""
        check_image(x)
        if self.J == 0:
            return x.clone(), None
        computed = x.to(compute_dtype(x.dtype))
        lows, bands = decompose(computed, self.J, self._steps, self.skip_hps)
        highs = [
            x.new_zeros([]) if skip else self._layout.outward(band).to(x.dtype)
            for band, skip in zip(bands, self.skip_hps, strict=True)
        ]
        if not any(self.include_scale):
            return lows[-1].to(x.dtype), highs
        wanted = zip(lows, self.include_scale, strict=True)
        return [low.to(x.dtype) if include else x.new_zeros([]) for low, include in wanted], highs


class DTCWTInverse(nn.Module):
    """`wavevit.wavelets.idtcwt2` under pytorch-wavelets' name and layout.

    Args:
        biort: see `DTCWTForward`; taps are those of synthesis.
        qshift: likewise.
        o_dim: axis of the orientations in a band tensor.
        ri_dim: axis of the real and imaginary parts.
        mode: see `DTCWTForward`.

    Raises:
        ValueError: unknown names, taps that make no level, both axes the same, bands that do not
            fit.

    Guarantees:
        As `DTCWTForward`.
    """

    def __init__(
        self,
        biort: Filters = "near_sym_a",
        qshift: Filters = "qshift_a",
        o_dim: int = 2,
        ri_dim: int = -1,
        mode: str = "symmetric",
    ) -> None:
        super().__init__()
        self._steps = steps_from(biort, qshift, mode, "synthesis")
        self.biort, self.qshift, self.mode = biort, qshift, mode
        self.o_dim, self.ri_dim = o_dim, ri_dim
        self._layout = _layout(o_dim, ri_dim)

    def forward(self, coeffs: tuple[Tensor | None, Sequence[Tensor | None]]) -> Tensor:
        """``(yl, yh)`` to images. None and empty tensors count as zero."""
        given, highs = check_pair(coeffs)
        low = self._beside(highs) if given is None or given.ndim < 2 else given
        check_image(low, "yl")
        details: list[Tensor] = []
        height, width = low.shape[-2] // 2, low.shape[-1] // 2
        for band in reversed(highs):
            if band is None or fixed(band.numel()) <= 1:
                # Without bands a level's approximation cannot have been extended: it is doubled.
                band = low.new_zeros(*low.shape[:2], 6, 2, height, width)
            elif band.ndim != 6:
                fail("yh", "bands of six dimensions", f"shape {tuple(band.shape)}")
            else:
                band = self._layout.inward(band)
            details.append(band)
            height, width = 2 * band.shape[-2], 2 * band.shape[-1]
        return recompose(low, details, self._steps, "yh[::-1]", synthesise_extended)

    def _beside(self, highs: Sequence[Tensor | None]) -> Tensor:
        """An approximation of zeros that fits the coarsest bands."""
        if not highs or highs[-1] is None or highs[-1].ndim != 6:
            fail("yl", "an approximation, because the coarsest bands are missing", None)
        band = self._layout.inward(highs[-1])
        return band.new_zeros(*band.shape[:2], 2 * band.shape[-2], 2 * band.shape[-1])

    def extra_repr(self) -> str:
        return f"biort={self.biort!r}, qshift={self.qshift!r}"
