"""Alias-free tokenizer: pointwise functions on the pixels only, then a low-pass."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least
from wavevit.layers.band_limit import decimate, low_pass_matrices
from wavevit.layers.channels import Source, fit_first, fit_subbands
from wavevit.layers.context import PartContext
from wavevit.layers.options import PartOptions
from wavevit.layers.padding import pad_map
from wavevit.layers.registry import register_tokenizer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.layers.tokenizers.start import start_at_pixel_size, start_projection
from wavevit.layers.tokenizers.subbands import SubbandNorm
from wavevit.wavelets import filter_bank, swt2
from wavevit.wavelets._engine.convolution import convolution
from wavevit.wavelets._engine.details_low_pass import low_passed_details
from wavevit.wavelets._engine.pieces import by_images
from wavevit.wavelets._engine.torch_private import has_hooks

__all__ = ["AliasFreeOptions", "AliasFreeTokenizer"]


@dataclass(frozen=True)
class AliasFreeOptions(PartOptions):
    """Options of the tokenizer ``"alias_free"``.

    Attributes:
        stem_depth: 3 x 3 convolutions on the pixels, 0 for none.
        stem_width: channels of each.
        scales: wavelet levels.

    Raises:
        ValueError: a number out of range.
    """

    stem_depth: int = 2
    stem_width: int = 12
    scales: int = 2

    def __post_init__(self) -> None:
        check_at_least("stem_depth", self.stem_depth, 0)
        check_at_least("stem_width", self.stem_width, 1)
        check_at_least("scales", self.scales, 1)

    def scaled(self, width: int, pixels: Fraction) -> Self:
        """A wider stem."""
        return replace(self, stem_width=self.stem_width * width)


def _circular(conv: nn.Module, x: Tensor) -> Tensor:
    return conv(pad_map(x, 1, "circular"))


@register_tokenizer("alias_free")
class AliasFreeTokenizer(Part):
    """Small convolutions, undecimated wavelets and their modulus at full rate; then low-pass.

    A pointwise function commutes with a shift if it is evaluated at every pixel. So all
    non-linear functions are on the pixels, with few channels: 3 x 3 convolutions with GELU, then
    the magnitude of undecimated wavelet details, which moves the energy of an edge to low
    frequencies. A low-pass removes frequencies above the Nyquist frequency of the token grid.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: stride of the grid in pixels; it need not divide the image's sides.
        stem_depth: 3 x 3 convolutions, 0 for none.
        stem_width: channels of each.
        scales: levels of the undecimated transform.
        wavelet: name of its filter.
        modulus: take the magnitude of the details.
        subband_norm: a learned gain for each subband (`SubbandNorm`).
        low_pass: low-pass against aliasing, one of `LOW_PASSES`.
        padding: borders of the convolutions and of the short low-pass; the transform is circular
            anyway.

    Guarantees:
        With circular padding and the ideal low-pass, a circular shift of the image by s pixels is
        the shift of the map by s/P steps (Fourier), for every integer s and every size
        (tests/properties/test_alias_free_laws.py). *Not* for fractions of a pixel: GELU and the
        magnitude create harmonics that alias at the pixels.

    Source:
        Ours. Undecimated wavelet moduli, averaged, are the scattering transform's first order
        (Bruna & Mallat 2013); ideal low-pass filters in a ViT are Michaeli & Soudry 2025.
    """

    Options = AliasFreeOptions
    any_size = True

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        *,
        stem_depth: int = 2,
        stem_width: int = 12,
        scales: int = 2,
        wavelet: str = "haar",
        modulus: bool = True,
        subband_norm: bool = True,
        low_pass: str = "ideal",
        padding: str = "circular",
    ) -> None:
        super().__init__()
        widths = [in_chans] + [stem_width] * stem_depth
        self.stem = nn.ModuleList(
            nn.Conv2d(before, after, 3) for before, after in itertools.pairwise(widths)
        )
        self.in_chans, self.scales, self.wavelet = in_chans, scales, wavelet
        self.patch_size = patch_size
        self.modulus, self.low_pass, self.padding = modulus, low_pass, padding
        # The map itself, then the details of each scale, coarse to fine as `swt2` gives them.
        octaves = [0] + [level for level in reversed(range(scales)) for _ in range(3)]
        self.norm = SubbandNorm(octaves, widths[-1]) if subband_norm else nn.Identity()
        self.proj = nn.Linear(widths[-1] * len(octaves), embed_dim)
        self.symmetry = Symmetry(
            1 if low_pass == "ideal" else patch_size, circular=padding == "circular"
        )

    @classmethod
    def build(cls, context: PartContext, options: AliasFreeOptions) -> Self:
        return cls(
            context.in_chans,
            context.dim,
            context.patch_size,
            stem_depth=options.stem_depth,
            stem_width=options.stem_width,
            scales=options.scales,
            wavelet=context.wavelet,
            modulus=context.subband_act,
            subband_norm=context.subband_norm,
            low_pass=context.low_pass,
            padding=context.padding,
        )

    @classmethod
    def first_conv(cls, options: AliasFreeOptions) -> str | tuple[()]:
        return "stem.0" if options.stem_depth else ()

    def reset_parameters(self) -> None:
        """Tokens of photographs as large as the pixels (`start_at_pixel_size`); no bias."""
        start_projection(self.proj)
        start_at_pixel_size(self, self.proj, self.in_chans)

    @property
    def stride(self) -> int:
        """Pixels per token; the tokens follow smaller shifts too."""
        return self.patch_size

    def decimate(self, x: Tensor) -> Tensor:
        """Maps (…, H, W) on the pixels to (…, ⌈H/P⌉, ⌈W/P⌉)."""
        return decimate(x, self.patch_size, self.low_pass, self.padding == "circular")

    def details(self, x: Tensor) -> Tensor:
        """(B, C, scales, 3, H, W), coarse to fine."""
        return swt2(x, self.wavelet, level=self.scales)[:, :, :, 1:]

    def _bands(self, x: Tensor) -> Tensor:
        """(B, C, 1 + 3 * scales, ⌈H/P⌉, ⌈W/P⌉): the map and its details, without what aliases."""
        details = self.details(x)
        if self.modulus:
            details = details.abs()
        return torch.cat([self.decimate(x)[:, :, None], self.decimate(details.flatten(2, 3))], 2)

    def _convolved(self, conv: nn.Module, x: Tensor) -> Tensor:
        """One convolution of the stem, by a kernel where one runs and `conv` is torch's own."""
        if type(conv) is not nn.Conv2d or has_hooks(conv):
            return conv(pad_map(x, 1, self.padding))

        def plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return F.conv2d(pad_map(x, 1, self.padding), weight, bias)

        return convolution(x, conv.weight, conv.bias, self.padding == "circular", plain)

    def _low_passed(self, x: Tensor) -> Tensor:
        """`_bands`, by a kernel where one runs."""
        if not self.modulus or self.low_pass == "none":
            return by_images(self._bands, x)
        circular = self.padding == "circular"
        matrices = low_pass_matrices(x, self.patch_size, self.low_pass, circular)
        bank = filter_bank(self.wavelet)
        plain = partial(by_images, self._bands)
        return low_passed_details(x, bank, self.scales, *matrices, plain)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) of any size to tokens (B, ⌈H/P⌉, ⌈W/P⌉, D)."""
        for conv in self.stem:
            x = F.gelu(self._convolved(conv, x))
        bands = self._low_passed(x)
        return self.proj(self.norm(bands.flatten(1, 2)).permute(0, 2, 3, 1))

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted in the first convolution; without a stem, band by band."""
        if len(self.stem):
            return fit_first(state, "stem.0.weight", self.in_chans, source)
        return fit_subbands(state, self.in_chans, 1 + 3 * self.scales, source, linear=True)

    def linear_part(self, x: Tensor) -> Tensor:
        """The first convolution; without a stem the map and its details before magnitudes."""
        if len(self.stem):
            return F.pixel_unshuffle(self.stem[0](pad_map(x, 1, self.padding)), self.patch_size)
        details = F.pixel_unshuffle(self.details(x).flatten(1, 3), self.patch_size)
        return torch.cat([self.decimate(x), details], dim=1)
