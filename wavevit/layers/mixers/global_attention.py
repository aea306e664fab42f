"""Global attention (ViT): every token attends to every other."""

from __future__ import annotations

from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple
from wavevit.layers.context import PartContext
from wavevit.layers.heads import split_heads
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_mixer
from wavevit.layers.rotary import Rotary, rotary_of
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.layers.token_layout import TokenLayout

__all__ = ["GlobalAttention"]


@register_mixer("global")
class GlobalAttention(Part):
    """Multi-head softmax attention over the whole sequence.

    A permutation of the tokens permutes the output, so it keeps every shift of the grid; with
    rotary positions, those that they keep.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        qkv_bias: whether queries, keys and values have a bias.
        rotary: turns queries and keys by their places.

    Raises:
        ValueError: `num_heads` does not divide `dim`.

    Source:
        Vaswani et al. 2017; Dosovitskiy et al. 2021.
    """

    reads_heads = holds_token = takes_mask = takes_weights = True
    hosts = ("rope",)

    def __init__(
        self, dim: int, num_heads: int, qkv_bias: bool = True, rotary: Rotary | None = None
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        self.num_heads, self.rotary = num_heads, rotary
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.symmetry = Symmetry(1) if rotary is None else rotary.symmetry

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(
            context.dim,
            context.num_heads,
            context.qkv_bias,
            rotary_of(context, context.padding),
        )

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, N, D) to three tensors (B, heads, N, D / heads), not turned by places."""
        q, k, v = split_heads(self.qkv(x), 3, self.num_heads)
        return q, k, v

    def forward(
        self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | TokenLayout | None = None
    ) -> Tensor:
        """Tokens (B, T + h·w, D), T of them without a place on the grid, to the same shape.

        Args:
            x: tokens.
            grid: (h, w).
            attn_mask: booleans (True: the row attends to the column) or numbers added to the
                scores, (N, N) or (B, heads, N, N); or the layout of weighted tokens, which `x`
                then has.
        """
        q, k, v = self.queries_keys_values(x)
        if isinstance(attn_mask, TokenLayout):
            return self.proj(attn_mask.attend(q, k, v, self.rotary))
        if self.rotary is not None:
            q, k = self.rotary(q, grid), self.rotary(k, grid)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask)
        return self.proj(x.transpose(1, 2).flatten(2))
