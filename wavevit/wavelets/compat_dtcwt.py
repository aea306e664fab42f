"""pytorch-wavelets' dual-tree classes, same names, arguments and values, on wavevit's transform.

Their layout is kept: levels fine to coarse, real and imaginary parts last. What differs: gradients
are right at every size, half precision, ``torch.compile`` and forward-mode derivatives work, and
filters are named, not given as tuples of taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.wavelets.dtcwt import decompose, idtcwt2
from wavevit.wavelets.dtcwt_filters import BIORTS, QSHIFTS
from wavevit.wavelets.dtcwt_levels import compute_dtype
from wavevit.wavelets.scattering import scattering2, smooth_magnitude

__all__ = ["DTCWTForward", "DTCWTInverse", "ScatLayer", "ScatLayerj2"]


class _Layout(NamedTuple):
    """Where the orientations and the complex parts are among the six axes of a band tensor."""

    o_dim: int
    ri_dim: int

    def outward(self, details: Tensor) -> Tensor:
        """(B, C, 6, 2, h, w) to the caller's layout."""
        return details.movedim((2, 3), (self.o_dim, self.ri_dim))

    def inward(self, details: Tensor) -> Tensor:
        """The caller's layout to (B, C, 6, 2, h, w)."""
        return details.movedim((self.o_dim, self.ri_dim), (2, 3))


def _layout(o_dim: int, ri_dim: int) -> _Layout:
    if o_dim % 6 == ri_dim % 6:
        fail("o_dim", "another axis than ri_dim", f"{o_dim} beside ri_dim {ri_dim}")
    return _Layout(o_dim % 6, ri_dim % 6)


def _per_level(argument: str, value: bool | Sequence[bool], levels: int) -> list[bool]:
    values = [bool(value)] * levels if isinstance(value, bool) else [bool(v) for v in value]
    if len(values) != levels:
        fail(argument, f"one truth value or {levels} of them", f"{len(values)}")
    return values


def _check(biort: str, qshift: str, mode: str) -> None:
    check_choice("biort", biort, BIORTS)
    check_choice("qshift", qshift, QSHIFTS)
    check_choice("mode", mode, ("symmetric",))


class DTCWTForward(nn.Module):
    """`wavevit.wavelets.dtcwt2` under pytorch-wavelets' name and layout.

    Args:
        biort: filters of level 1.
        qshift: filters of the later levels.
        J: number of levels; 0 gives ``(x, None)`` back.
        skip_hps: one truth value or one per level, fine to coarse: leave this level's bands out
            (an empty tensor stands in their place).
        include_scale: one truth value or one per level: if any is true, the first output is a list
            of every level's approximation instead of the last one (empty tensors where false).
        o_dim: axis of the orientations in a band tensor.
        ri_dim: axis of the real and imaginary parts.
        mode: ``"symmetric"``.

    Raises:
        ValueError: unknown names, both axes the same, a wrong number of truth values.

    Guarantees:
        Equal to pytorch-wavelets 1.3.0 to 1e-12 in float64, gradients that agree with finite
        differences (tests/parity/test_compat_dtcwt.py).
    """

    def __init__(
        self,
        biort: str = "near_sym_a",
        qshift: str = "qshift_a",
        J: int = 3,
        skip_hps: bool | Sequence[bool] = False,
        include_scale: bool | Sequence[bool] = False,
        o_dim: int = 2,
        ri_dim: int = -1,
        mode: str = "symmetric",
    ) -> None:
        super().__init__()
        _check(biort, qshift, mode)
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
            return x, None
        computed = x.to(compute_dtype(x.dtype))
        lows, bands = decompose(
            computed, self.J, self.biort, self.qshift, self.mode, skip=self.skip_hps
        )
        empty = x.new_zeros([])
        highs = [
            empty if skip else self._layout.outward(band).to(x.dtype)
            for band, skip in zip(bands, self.skip_hps, strict=True)
        ]
        if not any(self.include_scale):
            return lows[-1].to(x.dtype), highs
        wanted = zip(lows, self.include_scale, strict=True)
        return [low.to(x.dtype) if include else empty for low, include in wanted], highs


class DTCWTInverse(nn.Module):
    """`wavevit.wavelets.idtcwt2` under pytorch-wavelets' name and layout.

    Args:
        biort: filters of level 1.
        qshift: filters of the later levels.
        o_dim: axis of the orientations in a band tensor.
        ri_dim: axis of the real and imaginary parts.
        mode: ``"symmetric"``.

    Raises:
        ValueError: unknown names, both axes the same, bands that do not fit.

    Guarantees:
        Equal to pytorch-wavelets 1.3.0 to 1e-12 in float64 (tests/parity/test_compat_dtcwt.py).
    """

    def __init__(
        self,
        biort: str = "near_sym_a",
        qshift: str = "qshift_a",
        o_dim: int = 2,
        ri_dim: int = -1,
        mode: str = "symmetric",
    ) -> None:
        super().__init__()
        _check(biort, qshift, mode)
        self.biort, self.qshift, self.mode = biort, qshift, mode
        self.o_dim, self.ri_dim = o_dim, ri_dim
        self._layout = _layout(o_dim, ri_dim)

    def forward(self, coeffs: tuple[Tensor | None, Sequence[Tensor | None]]) -> Tensor:
        """``(yl, yh)`` to images. What is None or empty is zero."""
        given, highs = coeffs
        low = self._beside(highs) if given is None or given.ndim < 2 else given
        check_image(low, "yl")
        details: list[Tensor] = []
        height, width = low.shape[-2] // 2, low.shape[-1] // 2
        for band in reversed(highs):
            if band is None or band.numel() <= 1:
                # Without bands a level's approximation cannot have been extended: it is doubled.
                band = low.new_zeros(*low.shape[:2], 6, 2, height, width)
            elif band.ndim != 6:
                fail("yh", "bands of six dimensions", f"shape {tuple(band.shape)}")
            else:
                band = self._layout.inward(band)
            details.append(band)
            height, width = 2 * band.shape[-2], 2 * band.shape[-1]
        return idtcwt2((low, details), self.biort, self.qshift, self.mode)

    def _beside(self, highs: Sequence[Tensor | None]) -> Tensor:
        """An approximation of zeros that fits the coarsest bands."""
        if not highs or highs[-1] is None or highs[-1].ndim != 6:
            fail("yl", "an approximation where the coarsest bands are missing too", None)
        band = self._layout.inward(highs[-1])
        return band.new_zeros(*band.shape[:2], 2 * band.shape[-2], 2 * band.shape[-1])

    def extra_repr(self) -> str:
        return f"biort={self.biort!r}, qshift={self.qshift!r}"


class _Scattering(nn.Module):
    """Names and bias, checked."""

    def __init__(self, biort: str, qshift: str, mode: str, magbias: float) -> None:
        super().__init__()
        _check(biort, qshift, mode)
        if not magbias > 0:
            fail("magbias", "a number above 0", magbias)
        self.biort, self.qshift, self.mode_str, self.magbias = biort, qshift, mode, magbias

    def extra_repr(self) -> str:
        return f"biort={self.biort!r}, mode={self.mode_str!r}, magbias={self.magbias}"


class ScatLayer(_Scattering):
    """One scale of first-order scattering in pytorch-wavelets' channel order.

    Unlike `wavevit.wavelets.scattering2`, whose paths of one channel are side by side, the first C
    output channels are the low-passes and each of the six orientations follows with C channels.

    Args:
        biort: filters of the one level.
        mode: ``"symmetric"``.
        magbias: the bias of the smooth magnitude.
        combine_colour: one magnitude over three channels per orientation; 9 output channels.

    Raises:
        ValueError: unknown names, a bias that is not positive, colours to combine that are not 3.

    Guarantees:
        Equal to pytorch-wavelets 1.3.0 to 1e-12 in float64, gradients that agree with finite
        differences (tests/parity/test_compat_dtcwt.py).
    """

    def __init__(
        self,
        biort: str = "near_sym_a",
        mode: str = "symmetric",
        magbias: float = 1e-2,
        combine_colour: bool = False,
    ) -> None:
        super().__init__(biort, "qshift_a", mode, magbias)
        self.combine_colour = combine_colour

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 7C, ⌈H/2⌉, ⌈W/2⌉); (B, 9, …) with colours combined."""
        check_image(x, channels=3 if self.combine_colour else None)
        (low,), (details,) = decompose(
            x.to(compute_dtype(x.dtype)), 1, self.biort, self.qshift, self.mode_str
        )
        low = F.avg_pool2d(low, 2)
        if self.combine_colour:
            energy = details.square().sum((1, 3))
            magnitude = (energy + self.magbias**2).sqrt() - self.magbias
        else:
            magnitude = smooth_magnitude(details, self.magbias).transpose(1, 2).flatten(1, 2)
        return torch.cat([low, magnitude], dim=1).to(x.dtype)


class ScatLayerj2(_Scattering):
    """Two scales of second-order scattering in pytorch-wavelets' channel order.

    `wavevit.wavelets.scattering2` with two scales, on images whose sides are first extended to
    multiples of 8 as pytorch-wavelets extends them, and with the paths outside of the channels.

    Args:
        biort: filters of the first level.
        qshift: filters of the second.
        mode: ``"symmetric"``.
        magbias: the bias of the smooth magnitude.
        combine_colour: False; pytorch-wavelets' second order of combined colours is not offered.

    Raises:
        ValueError: unknown names, a bias that is not positive, colours to combine, a side of which
            too little is there to be extended.

    Guarantees:
        Equal to pytorch-wavelets 1.3.0 to 1e-12 in float64, gradients that agree with finite
        differences (tests/parity/test_compat_dtcwt.py).
    """

    def __init__(
        self,
        biort: str = "near_sym_a",
        qshift: str = "qshift_a",
        mode: str = "symmetric",
        magbias: float = 1e-2,
        combine_colour: bool = False,
    ) -> None:
        super().__init__(biort, qshift, mode, magbias)
        if combine_colour:
            fail("combine_colour", "False (`ScatLayer` has it, for one scale)", combine_colour)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 49C, ⌈H/8⌉ · 2, ⌈W/8⌉ · 2)."""
        check_image(x)
        for dim in (-2, -1):
            side = x.shape[dim]
            after = (-side % 8 + 1) // 2
            before = -side % 8 - after
            if after > side:
                fail("x", f"at least {after} pixels on axis {dim}", side)
            # The first rows come before themselves as they are, not mirrored: that is the original.
            ends = x.narrow(dim, 0, before), x.narrow(dim, side - after, after)
            x = torch.cat([ends[0], x, ends[1]], dim)
        paths = scattering2(x, 2, 2, self.biort, self.qshift, self.mode_str, self.magbias)
        once, twice = paths.unflatten(1, (x.shape[1], 49)).split([13, 36], dim=2)
        twice = twice.unflatten(2, (6, 6)).transpose(2, 3).flatten(2, 3)  # last orientation first
        return torch.cat([once, twice], dim=2).transpose(1, 2).flatten(1, 2)
