"""Cross-covariance attention (XCiT): attention between channels instead of tokens."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.context import PartContext
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_mixer
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["CovarianceAttention", "CrossCovarianceAttention"]


@register_mixer("cross_covariance")
class CrossCovarianceAttention(Part):
    """Channels attend to channels through their covariance over all places.

    Cost grows linearly with the number of tokens. The map from values to outputs is the same
    linear map at every position, so it keeps every shift, also by fractions of a step, and does
    not alias. Tokens interact only through the covariance.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        qkv_bias: whether queries, keys and values have a bias.
        normalize: divide each channel of queries and keys by its size over the map, as XCiT does.
            Where a channel vanishes, that direction jumps: a set of codimension 1 on a map that
            is constant. Without it the covariance itself is taken, which is smooth everywhere
            and bounded behind a norm of the whole map.

    Raises:
        ValueError: `num_heads` does not divide `dim`.

    Source:
        El-Nouby et al. 2021 (XCiT), section 3.2; without the division ours.
    """

    reads_heads = holds_token = True

    def __init__(
        self, dim: int, num_heads: int, qkv_bias: bool = True, normalize: bool = True
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        self.num_heads, self.normalize = num_heads, normalize
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.symmetry = Symmetry(1, alias_free=True)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.num_heads, context.qkv_bias)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, N, D) to the same shape."""
        # (3, B, heads, D/heads, N)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 4, 1)
        if self.normalize:
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        else:
            q = q / q.shape[-1]
        attention = q @ k.transpose(-2, -1)
        attention = (attention * self.temperature).softmax(dim=-1)
        return self.proj((attention @ v).permute(0, 3, 1, 2).flatten(2))


@register_mixer("covariance")
class CovarianceAttention(CrossCovarianceAttention):
    """`CrossCovarianceAttention` without the division by each channel's size: smooth."""

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.num_heads, context.qkv_bias, normalize=False)
