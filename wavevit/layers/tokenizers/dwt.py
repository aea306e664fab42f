"""Wavelet-packet tokens: the same patch in a basis that knows scale and orientation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.lipschitz import (
    GELU_CONSTANT,
    lipschitz_of,
    spectral_norm,
    wavelet_norm,
)
from wavevit.layers.symmetry import Symmetry
from wavevit.layers.tokenizers.subbands import SubbandTokenizer, levels_of
from wavevit.wavelets import wavepacket2

__all__ = ["PacketTokenizer", "packet_octaves"]


def packet_octaves(level: int) -> list[int]:
    """For each band of a packet, the number of low-pass steps before its first high-pass one."""
    digits = [[(band >> 2 * (level - 1 - i)) & 3 for i in range(level)] for band in range(4**level)]
    return [next((i for i, digit in enumerate(path) if digit), level) for path in digits]


class PacketTokenizer(SubbandTokenizer):
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
        level = levels_of(patch_size, "dwt", minimum=1)
        super().__init__(in_chans, embed_dim, packet_octaves(level), subband_norm)
        self.level, self.wavelet, self.act = level, wavelet, subband_act
        self.decimation = patch_size
        self.low_pass: nn.Module = nn.Identity()  # a slot for `blur_strides`
        self.symmetry = Symmetry(patch_size)

    def analyse(self, x: Tensor) -> Tensor:
        return wavepacket2(self.low_pass(x), self.wavelet, level=self.level).flatten(1, 2)

    def activate(self, bands: Tensor) -> Tensor:
        return F.gelu(bands) if self.act else bands

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """Packet, gains and projection as one matrix; exact without GELU for orthogonal filters."""
        weight = self.proj.weight.flatten(1)
        if not isinstance(self.norm, nn.Identity):
            weight = weight * self.norm.weight  # gains and a pointwise slope commute
        side = 1 << self.level
        packet = wavelet_norm(self.wavelet, (side, side), self.level)
        slope = GELU_CONSTANT if self.act else 1.0
        return spectral_norm(weight) * slope * packet * lipschitz_of(self.low_pass)
