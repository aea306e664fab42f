"""Lipschitz attention: attention between vectors of bounded length, with a closed-form bound."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.layers.context import PartContext
from wavevit.layers.mixers.global_attention import GlobalAttention
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_mixer
from wavevit.layers.rotary import Rotary, rotary_of
from wavevit.layers.token_layout import TokenLayout

__all__ = ["LipschitzAttention"]


def _shortened(x: Tensor, length: float) -> Tensor:
    """``x / √(1 + ‖x‖² / l²)``: shorter than l, with derivatives of norm at most 1 everywhere."""
    return x * torch.rsqrt(1 + x.square().sum(-1, keepdim=True) / length**2)


@register_mixer("lipschitz")
class LipschitzAttention(GlobalAttention):
    """Scaled-cosine attention: queries, keys and values are shortened below one length.

    ``softmax(τ · q̂ k̂ᵀ / l²) v̂`` with one learned τ per head and ``x̂ = x / √(1 + ‖x‖² / l²)``. A
    permutation of the tokens permutes the output, so it keeps every shift of the grid.

    Preferred to L2 attention with tied queries and keys (Kim et al. 2021): the bound grows with
    the weights' norms and not with their products, is finite for any number of tokens where
    theirs grows with its root times its logarithm, and queries and keys have weights of their own.
    Theirs is the smaller one for small weights and few tokens.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        qkv_bias: whether queries, keys and values have a bias.
        rotary: turns queries and keys by their places; turning changes no length.
        length: l. With 1, the scores of tokens behind a LayerNorm are nearly cosines; with the root
            of a head's channels, vectors of that usual size hardly change. The mixer at l is l
            times the mixer at 1 of its input over l (biases likewise), so the bound is the same.

    Raises:
        ValueError: `num_heads` does not divide `dim`.

    Guarantees:
        The bound of `wavevit.measure.certify.lipschitz_of`
        (tests/properties/test_lipschitz_laws.py).

    Source:
        Qi et al. 2023 (LipsFormer), who add a small number where we add 1 and start from τ = 12;
        from 1, as XCiT does, scores start about as small as those of plain attention. Their
        bound grows with the square of the number of tokens; ours is derived in
        wavevit/measure/certify/mixers.py.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        rotary: Rotary | None = None,
        length: float = 1.0,
    ) -> None:
        super().__init__(dim, num_heads, qkv_bias, rotary)
        self.length = length
        self.log_scale = nn.Parameter(torch.zeros(num_heads, 1, 1))

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        # Bounded maps leave a head's vectors about as long as the root of its channels.
        root = (context.dim / context.num_heads) ** 0.5
        return cls(
            context.dim,
            context.num_heads,
            context.qkv_bias,
            rotary_of(context, context.padding),
            length=root if context.spectral_control else 1.0,
        )

    def forward(
        self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | TokenLayout | None = None
    ) -> Tensor:
        """As `GlobalAttention`; the bound holds without a mask."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = _shortened(qkv, self.length)
        scale = self.log_scale.exp() / self.length**2
        if isinstance(attn_mask, TokenLayout):
            return self.proj(attn_mask.attend(q * scale, k, v, self.rotary, scale=1.0))
        if self.rotary is not None:
            q, k = self.rotary(q, grid), self.rotary(k, grid)
        x = F.scaled_dot_product_attention(q * scale, k, v, attn_mask, scale=1.0)
        return self.proj(x.transpose(1, 2).flatten(2))
