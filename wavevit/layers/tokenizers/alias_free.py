"""Tokens that do not know where the grid lies: everything pointwise happens on the pixels."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.band_limit import decimate
from wavevit.layers.padding import pad_map
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.layers.tokenizers.subbands import SubbandNorm
from wavevit.wavelets import swt2

__all__ = ["AliasFreeTokenizer"]


class AliasFreeTokenizer(Part):
    """Small convolutions, undecimated wavelets and their modulus at full rate; then low-pass.

    A pointwise function commutes with a shift if it is evaluated at every pixel. So all that is
    non-linear happens there, with few channels: 3 x 3 convolutions with GELU, then the magnitude
    of undecimated wavelet details, which moves the energy of an edge to low frequencies, where a
    coarse grid can hold it. What the token grid cannot hold is removed before the grid is laid.

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
        low_pass: of `LOW_PASSES`: what removes that which would alias.
        padding: borders of the convolutions and of the short low-pass; the transform is circular
            anyway.

    Guarantees:
        With circular padding and the ideal low-pass, a circular shift of the image by s pixels is
        the shift of the map by s/P steps (Fourier), for every integer s and every size
        (tests/properties/test_alias_free_laws.py). *Not* for fractions of a pixel: GELU and the
        magnitude create harmonics that fold at the pixels.

    Source:
        Ours. Undecimated wavelet moduli, averaged, are the scattering transform's first order
        (Bruna & Mallat 2013); ideal low-pass filters in a ViT are Michaeli & Soudry 2025.
    """

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
        self.patch_size, self.scales, self.wavelet = patch_size, scales, wavelet
        self.modulus, self.low_pass, self.border = modulus, low_pass, padding
        # The map itself, then the details of each scale, coarse to fine as `swt2` gives them.
        octaves = [0] + [level for level in reversed(range(scales)) for _ in range(3)]
        self.norm = SubbandNorm(octaves, widths[-1]) if subband_norm else nn.Identity()
        self.proj = nn.Linear(widths[-1] * len(octaves), embed_dim)
        self.symmetry = Symmetry(
            1 if low_pass == "ideal" else patch_size, circular=padding == "circular"
        )

    def decimate(self, x: Tensor) -> Tensor:
        """Maps (…, H, W) on the pixels to (…, ⌈H/P⌉, ⌈W/P⌉)."""
        return decimate(x, self.patch_size, self.low_pass, self.border == "circular")

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) of any size to tokens (B, ⌈H/P⌉, ⌈W/P⌉, D)."""
        for conv in self.stem:
            x = F.gelu(conv(pad_map(x, 1, self.border)))
        details = swt2(x, self.wavelet, level=self.scales)[:, :, :, 1:].flatten(2, 3)
        if self.modulus:
            details = details.abs()
        bands = torch.cat([self.decimate(x)[:, :, None], self.decimate(details)], dim=2)
        return self.proj(self.norm(bands.flatten(1, 2)).permute(0, 2, 3, 1))
