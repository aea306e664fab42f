"""ViT's mixer: every token attends to every other."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.lipschitz import DOT_PRODUCTS
from wavevit.layers.rotary import Rotary
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["GlobalAttention"]


class GlobalAttention(Part):
    """Multi-head softmax attention over the whole sequence.

    A permutation of the tokens permutes the output, so it keeps every shift of the grid; with
    rotary positions, those that they keep.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        qkv_bias: whether queries, keys and values have a bias.
        rotary: turns queries and keys by their places.

    Source:
        Vaswani et al. 2017; Dosovitskiy et al. 2021.
    """

    unbounded = DOT_PRODUCTS

    def __init__(
        self, dim: int, num_heads: int, qkv_bias: bool = True, rotary: Rotary | None = None
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        self.num_heads, self.rotary = num_heads, rotary
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.symmetry = Symmetry(1) if rotary is None else rotary.symmetry

    def forward(self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T + h·w, D), T of them without a place on the grid, to the same shape.

        Args:
            x: tokens.
            grid: (h, w).
            attn_mask: booleans (True: the row attends to the column) or numbers added to the
                scores, (N, N) or (B, heads, N, N).
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.rotary is not None:
            q, k = self.rotary(q, grid), self.rotary(k, grid)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask)
        return self.proj(x.transpose(1, 2).flatten(2))
