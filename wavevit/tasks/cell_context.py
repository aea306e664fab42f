"""Contexts of cells from the maps of a backbone, at any of its strides."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.models import Backbone, BackboneConfig

__all__ = ["CellContext"]


class CellContext(nn.Module):
    """Sum over the stages of a linear map of the token that covers a cell.

    A token of stride `s` covers ``(s / side)²`` cells and has a linear map for each of them, so
    that the sum keeps every shift by the coarsest stride.

    Args:
        config: of the backbone.
        side: of a cell in pixels, a divisor of the finest stride.
        width: channels of a context.
    """

    def __init__(self, config: BackboneConfig, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.ratios = [stride // side for stride in config.strides]
        self.maps = nn.ModuleList(
            nn.Conv2d(stage.embed_dim, ratio * ratio * width, 1)
            for stage, ratio in zip(config.stages, self.ratios, strict=True)
        )

    def forward(self, backbone: Backbone, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W), sides divisible by a cell's, to contexts (B, N, width)."""
        rows, columns = x.shape[-2] // self.side, x.shape[-1] // self.side
        total: Tensor | float = 0.0
        found = backbone.maps(x, cond)
        for part, ratio, image in zip(self.maps, self.ratios, found, strict=True):
            total = total + F.pixel_shuffle(part(image), ratio)[..., :rows, :columns]
        assert isinstance(total, Tensor)
        return total.flatten(2).transpose(1, 2)
