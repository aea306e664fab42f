"""Wavelet-packet tokens: the same patch in a basis that knows scale and orientation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import wavepacket2

__all__ = ["PacketTokenizer", "SubbandNorm", "packet_octaves"]


class SubbandNorm(nn.Module):
    """Divides every subband by the root of the strength it has in natural images, learnably.

    Photographs have spectra like 1/f: a detail whose finest half-band is `o` octaves below the
    pixels is about ``2**o`` times stronger than the finest one, and drowns it. Dividing by the
    whole strength would blow up the sensor's noise; the root of it, ``2**(o / 2)``, is where
    training starts. The gain is the same for every image, so the ratios between bands and
    between places, which tell textures apart, survive, and the map keeps every shift of its grid.

    Args:
        octaves: `o` of each subband.
        channels: image channels; each has its own gains.

    Source:
        The 1/f law is Field 1987. Ours otherwise; dividing by each image's own band strength
        was tried first and cost 8 to 12 points of top-1 on `scenes`.
    """

    def __init__(self, octaves: Sequence[int], channels: int) -> None:
        super().__init__()
        gains = 2.0 ** (-0.5 * torch.tensor(octaves, dtype=torch.get_default_dtype()))
        self.weight = nn.Parameter(gains.repeat(channels))
        self.bias = nn.Parameter(torch.zeros(channels * len(octaves)))

    def forward(self, x: Tensor) -> Tensor:
        """Subbands (B, channels * bands, h, w) to the same shape."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def packet_octaves(level: int) -> list[int]:
    """For each band of a packet, the number of low-pass steps before its first high-pass one."""
    digits = [[(band >> 2 * (level - 1 - i)) & 3 for i in range(level)] for band in range(4**level)]
    return [next((i for i, digit in enumerate(path) if digit), level) for path in digits]


class PacketTokenizer(Part):
    """Haar packet of each patch, each subband normalised, a pointwise GELU, then a linear map.

    With both extras switched off this is a patch convolution in rotated coordinates (see
    `wavevit.unfold`); they are what makes it a different function class.

    Args:
        in_chans: channels of the image.
        embed_dim: channels of a token.
        patch_size: side of a patch in pixels, a power of two.
        wavelet: name of the filter.
        subband_norm: normalise each subband (`SubbandNorm`).
        subband_act: apply GELU to each coefficient before the projection.

    Raises:
        ValueError: a patch size that is no power of two.

    Source:
        The packet patcher of Cosmos (NVIDIA 2025) is the linear part at two levels; the
        normalisation and the non-linearity are ours.
    """

    def __init__(
        self,
        in_chans: int,
        embed_dim: int,
        patch_size: int,
        wavelet: str = "haar",
        subband_norm: bool = True,
        subband_act: bool = True,
    ) -> None:
        super().__init__()
        self.decimation = patch_size
        self.low_pass: nn.Module = nn.Identity()  # a slot for `blur_strides`
        self.level = patch_size.bit_length() - 1
        if patch_size != 1 << self.level:
            fail("patch_size", "a power of two for tokenizer='dwt'", patch_size)
        self.wavelet = wavelet
        bands = in_chans * 4**self.level
        octaves = packet_octaves(self.level)
        self.norm = SubbandNorm(octaves, in_chans) if subband_norm else nn.Identity()
        self.act = subband_act
        self.proj = nn.Conv2d(bands, embed_dim, 1)
        self.symmetry = Symmetry(patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), sides divisible by the patch, to tokens (B, H/P, W/P, D)."""
        bands = wavepacket2(self.low_pass(x), self.wavelet, level=self.level).flatten(1, 2)
        bands = self.norm(bands)
        if self.act:
            bands = F.gelu(bands)
        return self.proj(bands).permute(0, 2, 3, 1)
