"""Undecimated wavelet tokenizer: magnitudes are computed before decimation."""

from __future__ import annotations

import dataclasses
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_bool
from wavevit.layers.context import PartContext
from wavevit.layers.decimation import Decimation, chained
from wavevit.layers.options import PartOptions
from wavevit.layers.padding import pad_map
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Symmetry
from wavevit.layers.tokenizers.subbands import SubbandTokenizer, image_padding, levels_of
from wavevit.wavelets import filter_bank, swt2
from wavevit.wavelets._engine.magnitudes import BandWriter, low_passed, writes_bands

__all__ = ["SWTOptions", "SWTTokenizer"]


@dataclasses.dataclass(frozen=True)
class SWTOptions(PartOptions):
    """Steps of `SWTTokenizer`; each can be left out.

    The low-pass from one scale to the next is no option: it overlaps patches, so a token reads
    pixels around its patch with every choice, and without any step the map is no Haar transform.

    Attributes:
        undecimated: a detail for each sample of its scale; if False, for every second one.
        magnitude: absolute values of the details; if False, the details with their signs.
        low_pass: a low-pass before each halving down to the patch; if False, all details of a
            patch are kept, each a band of its own.

    Raises:
        ValueError: something else than True or False.
    """

    undecimated: bool = True
    magnitude: bool = True
    low_pass: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_bool(field.name, getattr(self, field.name))


_ALL_STEPS = SWTOptions()


@register_tokenizer("swt")
class SWTTokenizer(SubbandTokenizer):
    """Magnitudes of undecimated wavelet details of every scale, low-passed to the patch's stride.

    For each scale j of log2 P, the image is low-passed to stride ``2**(j - 1)``. Its undecimated
    details have twice as many samples on each axis as a decimated transform. Their magnitudes are
    low-passed and strided down to P. The low-pass band is added to the magnitudes. A magnitude does
    not oscillate with the sign of the coefficients, so it aliases little, unlike a patch with a
    weight for every pixel. The position of an edge in the patch and its sign are lost.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: stride in pixels, a power of two from 2 on.
        wavelet: name of the filter.
        padding: ``"circular"``, or ``"zeros"``, for which the image repeats its border pixels.
        subband_norm: see `SubbandTokenizer`.
        options: steps to leave out, for ablations.

    Raises:
        ValueError: another patch size, an unknown wavelet.

    Guarantees:
        At random weights, a 1-px shift, circular or crop, moves its tokens of photographs at most
        1/2 as far as those of a patch of 4 pixels, 1/4 at 8 and 1/7 at 16; for Haar, the bands of
        a mirrored image are the mirrored bands (tests/properties/test_tokenizer_laws.py). With all
        options False, for Haar, it is a linear map that loses nothing, and the details of the first
        scale are those of `wavevit.wavelets.dwt2` (tests/unit/test_swt_steps.py).
        *Not* guaranteed: invariance, or exact shifts by less than the patch; that longer filters
        between borders lose nothing.

    Source:
        Ours. Magnitudes averaged are scattering's first order (Bruna & Mallat 2013); the early
        decimation is Burt & Adelson's pyramid (1983).
    """

    Options = SWTOptions

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        wavelet: str = "haar",
        padding: str = "zeros",
        subband_norm: bool = True,
        options: SWTOptions = _ALL_STEPS,
    ) -> None:
        level = levels_of(patch_size, "swt")
        # By scale, the details that lie in a patch along one axis.
        sides = [1 << (level - scale - (not options.undecimated)) for scale in range(level)]
        kept = [1 if options.low_pass else side**2 for side in sides]
        octaves = [level] + [j for j in range(level) for _ in range(3 * kept[j])]
        super().__init__(in_chans, embed_dim, octaves, subband_norm)
        self.level, self.wavelet, self.padding = level, wavelet, image_padding(padding)
        self.options, self.sides = options, sides
        self.margin = filter_bank(wavelet).length // 2
        # A coefficient of an even filter stands half a sample to the right of its index. Five taps
        # at even samples undo that, so that tokens of all scales stand in the middle of the patch.
        self.first, self.later = Decimation(5, None), Decimation(4, self.padding)
        self.symmetry = Symmetry(patch_size, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: SWTOptions) -> Self:
        return cls(
            context.in_chans,
            context.dim,
            context.patch_size,
            context.wavelet,
            context.padding,
            context.subband_norm,
            options,
        )

    def analyse(self, x: Tensor) -> Tensor:
        bands = []
        for scale in range(self.level):
            details = self._details(x)
            if self.options.magnitude:
                details = details.abs()
            bands.append(self._at_the_patch(details, scale))
            x = 2 * self.later(x)  # a low-pass of an orthonormal transform doubles a constant
        return torch.cat([x[:, :, None], *bands], dim=2).flatten(1, 2)

    def _at_the_patch(self, details: Tensor, scale: int) -> Tensor:
        """Details of a scale, as `_details` gives them, to (B, C, bands, H/P, W/P)."""
        maps, channels = details.flatten(1, 2), details.shape[1]
        if self.options.low_pass:
            maps = self.first(maps) if self.options.undecimated else maps
            for _ in range(self.level - scale - 1):
                maps = self.later(maps)
        else:
            maps = self._in_the_patch(maps, scale)
        return maps.unflatten(1, (channels, -1))

    def _in_the_patch(self, maps: Tensor, scale: int) -> Tensor:
        """All details of a patch as channels."""
        inside = maps[..., 2:-2, 2:-2] if self.options.undecimated else maps
        return F.pixel_unshuffle(inside, self.sides[scale])

    def write(self, x: Tensor) -> Tensor | None:
        if self.options != _ALL_STEPS or not writes_bands(x):
            return None
        size = x.shape[-2] >> self.level, x.shape[-1] >> self.level
        writer = BandWriter(x, self.bands, size)
        for scale in range(self.level):
            steps = (self.first, *[self.later] * (self.level - scale - 1))
            # With what goes round the circle; the low-pass does not read it.
            maps = swt2(pad_map(x, 2 + self.margin, self.padding), self.wavelet)[:, :, 0]
            low_pass = chained(steps, maps.shape[-2:], self.margin)
            writer.write("modulus", maps, 1 + 3 * scale, low_pass, taken=(1, 2, 3))
            x = 2 * low_passed(x, chained((self.later,), x.shape[-2:]))
        writer.write("linear", x, 0, chained((), size))
        return writer.tokens

    def extended_bands(self, x: Tensor) -> Tensor:
        """Undecimated bands (B, C, 4, H + 4, W + 4): of the image and two samples around it."""
        extended = pad_map(x, 2 + self.margin, self.padding)
        # Where `swt2` itself goes round its circle is cut off.
        inside = slice(self.margin, -self.margin)
        return swt2(extended, self.wavelet)[:, :, 0, :, inside, inside]

    def _details(self, x: Tensor) -> Tensor:
        """Details (B, C, 3, h, w): undecimated with two samples around them, or decimated."""
        details = self.extended_bands(x)[:, :, 1:]
        return details if self.options.undecimated else details[..., 2:-2:2, 2:-2:2]

    def linear_part(self, x: Tensor) -> Tensor:
        """Details of every scale before their magnitudes, and the low-pass."""
        maps = []
        for scale in range(self.level):
            maps.append(self._in_the_patch(self._details(x).flatten(1, 2), scale))
            x = 2 * self.later(x)
        return torch.cat([x, *maps], dim=1)
