"""A Haar downsampling as one linear map, for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.bounded_linear import matrix_of
from wavevit.layers.old_bounds import OldGrowth
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.symmetry import Part
from wavevit.wavelets import iwavepacket2

if TYPE_CHECKING:
    from wavevit.layers.downsample import DWTDownsample, LowPassDownsample

__all__ = ["MergedDownsample"]


class MergedDownsample(Part, OldGrowth):
    """Norm, then one linear map of 2 x 2 tokens side by side: a Haar downsampling, merged.

    Args:
        downsample: what it equals, a Haar `DWTDownsample` or `LowPassDownsample`.
    """

    def __init__(self, downsample: DWTDownsample | LowPassDownsample) -> None:
        super().__init__()
        self.norm, self.symmetry = downsample.norm, downsample.symmetry
        self.low_pass = downsample.low_pass  # of `blur_strides`; it comes before the norm
        weight = matrix_of(downsample.proj).detach()
        bands = weight.unflatten(1, (downsample.kept, -1)).transpose(1, 2)[..., None, None]
        missing = 4 - downsample.kept  # a dropped band counts for nothing
        kernel = iwavepacket2(F.pad(bands, (0, 0, 0, 0, 0, missing)))  # (out, D, 2, 2)
        self.weight = nn.Parameter(kernel.permute(0, 2, 3, 1).flatten(1))
        self.bias = downsample.proj.bias

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (B, h·w, D) on grid (h, w) to the smaller ones and their grid."""
        if not isinstance(self.low_pass, nn.Identity):
            x = self.low_pass(x.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)
        image = self.norm(x).transpose(1, 2).unflatten(2, grid)
        rows = pad_to_multiple(image, 2).permute(0, 2, 3, 1)
        blocks = rows.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3)
        grid = (blocks.shape[1], blocks.shape[2])
        return F.linear(blocks.flatten(3).flatten(1, 2), self.weight, self.bias), grid
