"""The image's own details, added to the tokens of the stage that has their stride."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.lipschitz import GELU_CONSTANT, lipschitz_of
from wavevit.layers.tokenizers import SubbandNorm

__all__ = ["DetailInjection"]


class DetailInjection(nn.Module):
    """Details ``cH, cV, cD`` of one level, normalised, passed through GELU, mapped and added.

    Args:
        in_chans: channels of the image.
        dim: channels of a token.
        level: of the details, 1 for the finest.
    """

    def __init__(self, in_chans: int, dim: int, level: int) -> None:
        super().__init__()
        self.norm = SubbandNorm([level - 1] * 3, in_chans)
        self.proj = nn.Linear(3 * in_chans, dim)

    def forward(self, x: Tensor, details: Tensor) -> Tensor:
        """Tokens (B, h·w, D) and details (B, C, 3, h, w) to tokens (B, h·w, D)."""
        bands = F.gelu(self.norm(details.flatten(1, 2)))
        return x + self.proj(bands.flatten(2).transpose(1, 2))

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """Of what is added, over the details; the tokens themselves pass with 1."""
        return (
            lipschitz_of(self.proj) * GELU_CONSTANT * float(self.norm.weight.detach().abs().max())
        )
