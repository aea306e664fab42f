"""Spatial-reduction attention (PVT): all queries, fewer keys and values."""

from __future__ import annotations

from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.context import PartContext
from wavevit.layers.heads import split_heads
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import pad_to_least
from wavevit.layers.registry import register_mixer
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["SpatialReductionAttention"]


@register_mixer("spatial_reduction")
class SpatialReductionAttention(Part):
    """Attention of every token to a map that a strided convolution has made smaller.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        reduction: stride of that convolution; 1 leaves the map as it is. A map smaller than
            the stride is repeated at its edge until one step fits.
        qkv_bias: whether queries, keys and values have a bias.
        eps: of the norm behind the convolution.

    Raises:
        ValueError: `num_heads` does not divide `dim`.

    Source:
        Wang et al. 2021 (PVT), section 3.3; PVT v2 without its linear variant.
    """

    reads_heads = True

    def __init__(
        self, dim: int, num_heads: int, reduction: int, qkv_bias: bool = True, eps: float = 1e-6
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        self.num_heads, self.reduction = num_heads, reduction
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.reduce = self.norm = None
        if reduction > 1:
            self.reduce = nn.Conv2d(dim, dim, reduction, stride=reduction)
            self.norm = nn.LayerNorm(dim, eps=eps)
        self.symmetry = Symmetry(reduction)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.dim,
            context.num_heads,
            context.reduction,
            context.qkv_bias,
            context.norm_eps,
        )

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, D) on their grid (h, w) to the same shape."""
        q = self.q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        context = x
        if self.reduce is not None and self.norm is not None:
            image = pad_to_least(x.transpose(1, 2).unflatten(2, grid), self.reduction)
            context = self.norm(self.reduce(image).flatten(2).transpose(1, 2))
        k, v = split_heads(self.kv(context), 2, self.num_heads)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))
