"""Inject wavelet details of the image into the tokens of a stage of the same stride."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.channels import Source, fit_subbands
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.old_bounds import OldBounds
from wavevit.layers.tokenizers import SubbandNorm

__all__ = ["DetailInjection"]


class DetailInjection(FxLeaf, OldBounds):
    """Details ``cH, cV, cD`` of one level, normalised, passed through GELU, mapped and added.

    Args:
        in_chans: channels of the image.
        dim: channels of a token.
        level: level of the details, 1 for the finest.
    """

    def __init__(self, in_chans: int, dim: int, level: int) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.norm = SubbandNorm([level - 1] * 3, in_chans)
        self.proj = nn.Linear(3 * in_chans, dim)

    def forward(self, x: Tensor, details: Tensor) -> Tensor:
        """Tokens (B, T + h·w, D), T without a place, and details (B, C, 3, h, w) to tokens."""
        count = details.shape[-2] * details.shape[-1]
        prefix, places = x.split([x.shape[1] - count, count], dim=1)
        bands = F.gelu(self.norm(details.flatten(1, 2)))
        places = places + self.proj(bands.flatten(2).transpose(1, 2))
        return torch.cat([prefix, places], dim=1) if prefix.shape[1] else places

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Channels fitted by `fit_subbands`."""
        return fit_subbands(state, self.in_chans, 3, source, linear=False)
