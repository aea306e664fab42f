"""Learned gain for each channel of a residual branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavevit.layers.old_bounds import OldBounds

__all__ = ["BranchGain"]


class BranchGain(nn.Module, OldBounds):
    """Learned factor for each channel of a residual branch, small at the start.

    With ``1 / branches`` the product of all ``1 + gain · L`` stays below ``e^L``, however deep the
    network is.

    Source:
        Touvron et al. 2021 (LayerScale); Qi et al. 2023 (LipsFormer) start at one over the depth.
    """

    def __init__(self, dim: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight
