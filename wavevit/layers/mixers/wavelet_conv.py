"""Wavelet convolution (WTConv): small depthwise kernels on every scale of a wavelet pyramid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from wavevit.checks import check_at_least, fail
from wavevit.layers.context import PartContext
from wavevit.layers.options import PartOptions
from wavevit.layers.padding import DepthwiseConv
from wavevit.layers.registry import register_mixer
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets import dwt2, idwt2

__all__ = ["WaveletConv", "WaveletConvOptions"]


@dataclass(frozen=True)
class WaveletConvOptions(PartOptions):
    """Options of the mixer ``"wavelet_conv"``.

    Attributes:
        kernel_size: odd side of every kernel.
        levels: depth of the wavelet pyramid.

    Raises:
        ValueError: an even kernel, or a number below 1.
    """

    kernel_size: int = 5
    levels: int = 1

    def __post_init__(self) -> None:
        check_at_least("levels", self.levels, 1)
        if check_at_least("kernel_size", self.kernel_size, 1) % 2 == 0:
            fail("kernel_size", "an odd number", self.kernel_size)


@register_mixer("wavelet_conv")
class WaveletConv(Part):
    """Depthwise convolution of the map, plus depthwise convolutions of its Haar subbands.

    A kernel of 5 on the bands of level `l` sees ``5 · 2**l`` tokens at the price of 5: a wide
    receptive field at a cost that grows with the logarithm of the width.

    Args:
        dim: channels of a token.
        kernel_size: odd side of every kernel.
        levels: depth of the pyramid.
        padding: ``"circular"`` keeps shifts by ``2**levels`` exactly, ``"zeros"`` does not.
        wavelet: name of the filter.

    Source:
        Finder et al., ECCV 2024 (WTConv), section 3. Borders invert exactly here at any size.
    """

    Options = WaveletConvOptions

    def __init__(
        self,
        dim: int,
        kernel_size: int = 5,
        levels: int = 1,
        padding: str = "circular",
        wavelet: str = "haar",
    ) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.base = DepthwiseConv(dim, kernel_size, padding)
        self.bands = nn.ModuleList(
            DepthwiseConv(4 * dim, kernel_size, padding, bias=False) for _ in range(levels)
        )
        with torch.no_grad():
            # The paper starts the wavelet branches quietly, so that the base convolution leads.
            for conv in self.bands:
                assert isinstance(conv, DepthwiseConv)
                conv.weight.mul_(0.1)
        self.symmetry = Symmetry(2**levels, circular=padding == "circular")

    @classmethod
    def build(cls, context: PartContext, options: WaveletConvOptions) -> Self:
        kernel, levels = options.kernel_size, options.levels
        return cls(context.dim, kernel, levels, context.padding, context.wavelet)

    def _branch(self, approx: Tensor, level: int) -> Tensor:
        """What the subbands of one level and of all below add to a map (B, D, h, w)."""
        size = (approx.shape[-2], approx.shape[-1])
        # Bands before channels: the order that channels-last coefficients have in memory.
        bands = dwt2(approx, self.wavelet).transpose(1, 2)
        mixed = self.bands[level](bands.flatten(1, 2)).unflatten(1, (4, -1))
        if level + 1 < len(self.bands):
            deeper = self._branch(bands[:, 0], level + 1)
            mixed = torch.cat([mixed[:, :1] + deeper[:, None], mixed[:, 1:]], dim=1)
        return idwt2(mixed.transpose(1, 2), self.wavelet, output_size=size)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, D) on their grid (h, w) to the same shape."""
        image = x.transpose(1, 2).unflatten(2, grid)
        mixed = self.base(image) + self._branch(image, 0)
        return mixed.flatten(2).transpose(1, 2)
