"""Drop-in scattering layers for pytorch-wavelets, with equal names, arguments and values.

The order of channels is that of pytorch-wavelets: each path has all channels of the image;
`wavevit.wavelets.scattering2` has the paths of one channel next to each other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavevit.checks import check_bool, check_choice, check_image, check_number, fail
from wavevit.wavelets._engine.dtcwt_filters import BIORTS, QSHIFTS
from wavevit.wavelets._engine.dtcwt_levels import compute_dtype
from wavevit.wavelets._engine.dtcwt_tree import decompose, mean_of_trees
from wavevit.wavelets._engine.symbolic_shapes import certainly
from wavevit.wavelets.compat.taps import steps_from
from wavevit.wavelets.scattering import scattering2, smooth_magnitude

__all__ = ["ScatLayer", "ScatLayerj2"]


class _Scattering(nn.Module):
    """Names and bias, checked."""

    def __init__(
        self, biort: str, qshift: str, mode: str, magbias: float, combine_colour: bool
    ) -> None:
        super().__init__()
        check_choice("biort", biort, BIORTS)
        check_choice("qshift", qshift, QSHIFTS)
        check_number("magbias", magbias, above=0)
        check_bool("combine_colour", combine_colour)
        self._steps = steps_from(biort, qshift, mode, "analysis")
        self.biort, self.qshift, self.mode_str, self.magbias = biort, qshift, mode, magbias
        self.combine_colour = combine_colour

    def check(self, x: Tensor) -> None:
        check_image(x, channels=3 if self.combine_colour else None)

    def magnitude(self, details: Tensor) -> Tensor:
        """(B, C, 6, 2, h, w) to (B, C, 6, h, w); of combined colours C is 1."""
        if not self.combine_colour:
            return smooth_magnitude(details, self.magbias)
        energy = details.square().sum((1, 3)).unsqueeze(1)
        return (energy + self.magbias**2).sqrt() - self.magbias

    def extra_repr(self) -> str:
        return f"biort={self.biort!r}, mode={self.mode_str!r}, magbias={self.magbias}"


def _outward(paths: Tensor) -> Tensor:
    """(B, C, paths, h, w) to (B, paths · C, h, w)."""
    return paths.transpose(1, 2).flatten(1, 2)


class ScatLayer(_Scattering):
    """One scale of first-order scattering in pytorch-wavelets' channel order.

    The first C output channels are the low-passes and each of the six orientations follows with C
    channels.

    Args:
        biort: filters of the one level.
        mode: ``"symmetric"``, ``"zero"``, or another name that `DTCWTForward` reads as zero.
        magbias: the bias of the smooth magnitude.
        combine_colour: one magnitude of three channels for each orientation; 9 output channels.

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
        super().__init__(biort, "qshift_a", mode, magbias, combine_colour)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 7C, ⌈H/2⌉, ⌈W/2⌉); (B, 9, …) with colours combined."""
        self.check(x)
        (low,), (details,) = decompose(x.to(compute_dtype(x.dtype)), 1, self._steps)
        parts = [mean_of_trees(low), _outward(self.magnitude(details))]
        return torch.cat(parts, dim=1).to(x.dtype)


class ScatLayerj2(_Scattering):
    """Two scales of second-order scattering in pytorch-wavelets' channel order.

    It is `wavevit.wavelets.scattering2` with two scales. Sides are first extended to
    multiples of 8 as in pytorch-wavelets, and the axis of paths is before the channels.

    Args:
        biort: filters of the first level.
        qshift: filters of the second.
        mode: ``"symmetric"``.
        magbias: the bias of the smooth magnitude.
        combine_colour: one magnitude of three channels for each path; 51 output channels, with
            low-passes in colour.

    Raises:
        ValueError: unknown names, a bias that is not positive, colours to combine that are not 3, a
            side that is too short to be extended.

    Guarantees:
        Equal to pytorch-wavelets 1.3.0 with equal taps to 1e-12 in float64, gradients that agree
        with finite differences (tests/parity/test_compat_dtcwt.py).
    """

    def __init__(
        self,
        biort: str = "near_sym_a",
        qshift: str = "qshift_a",
        mode: str = "symmetric",
        magbias: float = 1e-2,
        combine_colour: bool = False,
    ) -> None:
        check_choice("mode", mode, ("symmetric",))
        super().__init__(biort, qshift, mode, magbias, combine_colour)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 49C, ⌈H/8⌉ · 2, ⌈W/8⌉ · 2); (B, 51, …) with colours combined."""
        self.check(x)
        x = _to_multiples_of_8(x)
        if self.combine_colour:
            return self._in_one_colour(x.to(compute_dtype(x.dtype))).to(x.dtype)
        paths = scattering2(x, 2, 2, self.biort, self.qshift, self.mode_str, self.magbias)
        once, twice = paths.unflatten(1, (x.shape[1], 49)).split([13, 36], dim=2)
        twice = twice.unflatten(2, (6, 6)).transpose(2, 3).flatten(2, 3)  # last orientation first
        return _outward(torch.cat([once, twice], dim=2))

    def _in_one_colour(self, x: Tensor) -> Tensor:
        (_, low), bands = decompose(x, 2, self._steps)
        fine, coarse = (self.magnitude(details).flatten(1, 2) for details in bands)
        (passed,), (details,) = decompose(fine, 1, self._steps)
        twice = _outward(smooth_magnitude(details, self.magbias))  # last orientation first
        return torch.cat([mean_of_trees(low), mean_of_trees(passed), coarse, twice], dim=1)


def _to_multiples_of_8(x: Tensor) -> Tensor:
    for dim in (-2, -1):
        side = x.shape[dim]
        after = (-side % 8 + 1) // 2
        before = -side % 8 - after
        if certainly(after > side):
            fail("x", f"at least {after} pixels on axis {dim}", side)
        # The first rows come before themselves as they are, not mirrored: that is the original.
        ends = x.narrow(dim, 0, before), x.narrow(dim, side - after, after)
        x = torch.cat([ends[0], x, ends[1]], dim)
    return x
