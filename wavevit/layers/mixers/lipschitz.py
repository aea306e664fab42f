"""Attention between vectors of bounded length: a mixer with a Lipschitz constant in closed form."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least
from wavevit.layers.context import PartContext
from wavevit.layers.lipschitz import lipschitz_of, matrix_of
from wavevit.layers.mixers.global_attention import GlobalAttention
from wavevit.layers.options import NoOptions
from wavevit.layers.registry import register_mixer
from wavevit.layers.rotary import Rotary, rotary_of

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
    theirs grows with its root times its logarithm, and queries and keys stay apart. Theirs is
    the smaller one for small weights and few tokens.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        qkv_bias: whether queries, keys and values have a bias.
        rotary: turns queries and keys by their places; turning changes no length.
        length: l. At 1 tokens behind a LayerNorm meet nearly as cosines; the root of a head's
            channels leaves vectors of that usual size nearly as they are. The mixer at l is l
            times the mixer at 1 of its input over l (biases likewise), so the bound is the same.

    Guarantees:
        `lipschitz_bound` (tests/properties/test_lipschitz_laws.py).

    Source:
        Qi et al. 2023 (LipsFormer), who add a small number where we add 1 and start from τ = 12;
        from 1, as XCiT does, scores start about as small as those of plain attention. Their
        bound grows with the square of the number of tokens; ours is derived below.
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

    def forward(self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | None = None) -> Tensor:
        """As `GlobalAttention`; the bound holds without a mask."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = _shortened(qkv, self.length)
        if self.rotary is not None:
            q, k = self.rotary(q, grid), self.rotary(k, grid)
        scale = self.log_scale.exp() / self.length**2
        x = F.scaled_dot_product_attention(q * scale, k, v, attn_mask, scale=1.0)
        return self.proj(x.transpose(1, 2).flatten(2))

    @torch.no_grad()
    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """What no difference of outputs divided by that of inputs exceeds (Frobenius norms).

        For one head with attention matrix P, a change of the inputs changes row i of ``P v̂`` by
        ``Σ P_ij δv_j + Σ P_ij (v_j − v̄_i) τ (δq_i·k_j + q_i·δk_j)``, at length 1. All vectors are
        shorter than 1, so by Cauchy-Schwarz the three terms are at most ``√c ‖δv‖``, ``τ ‖δq‖``
        and ``τ √c ‖δk‖`` over all rows, `c` the largest column sum of P. Scores lie within ±τ, so
        ``c ≤ n e^{2τ} / (n − 1 + e^{2τ})``, which is below n and below ``e^{2τ}``. Heads are put
        together in both ways there are: the three terms of each head first (a root of squares
        over heads), or each term over all heads first (the norm of all heads' rows as one matrix).

        Args:
            tokens: length n of the sequence, class token included; None for any length.

        Returns:
            ``‖W_O‖`` times the smaller of ``√Σ_h (√c (‖W_V‖ + τ ‖W_K‖) + τ ‖W_Q‖)²`` and
            ``‖√c W_V‖ + ‖τ √c W_K‖ + ‖τ W_Q‖`` with all heads' rows, spectral norms.

        Near what is reached for small τ and loose for large: the steepest derivative found is
        0.5 of it at τ = 0.1, 0.13 at 1 and 0.02 at 10 (16 channels, 9 random tokens).

        Guarantees:
            Holds on all inputs, for this module in evaluation, for float64 to rounding. It says
            nothing about the norm and the residual around it.
        """
        weights = matrix_of(self.qkv).double().unflatten(0, (3, self.num_heads, -1))
        scale = self.log_scale.double().exp().flatten()
        if tokens is None:
            root = scale.exp()
        else:
            count = check_at_least("tokens", tokens, 1)
            root = (count / (1 + (count - 1) * (-2 * scale).exp())).sqrt()
        # The terms of queries, keys and values, each with its factor, head by head.
        terms = weights * torch.stack([scale, scale * root, root])[:, :, None, None]
        by_head = torch.linalg.matrix_norm(terms, ord=2).sum(dim=0).norm()
        by_term = torch.linalg.matrix_norm(terms.flatten(1, 2), ord=2).sum()
        return lipschitz_of(self.proj) * float(torch.minimum(by_head, by_term))
