"""Rules for mixers."""

from __future__ import annotations

import math

import torch

from wavevit.checks import check_at_least
from wavevit.layers.bounded_linear import matrix_of
from wavevit.layers.mixers import (
    CrossCovarianceAttention,
    GlobalAttention,
    LipschitzAttention,
    LowPassAttention,
    PoolingAttention,
    SpatialReductionAttention,
    WaveletAttention,
    WaveletConv,
    WindowAttention,
)
from wavevit.measure.certify.operator_norms import wavelet_norm
from wavevit.measure.certify.rules import lipschitz_of, lipschitz_rule, no_lipschitz_bound

__all__ = ["DOT_PRODUCTS"]

DOT_PRODUCTS = (
    "multiplies queries with keys: the slope of dot-product attention grows with the size of its "
    "tokens without end (Kim et al. 2021)"
)

no_lipschitz_bound(
    GlobalAttention,
    LowPassAttention,
    PoolingAttention,
    SpatialReductionAttention,
    WaveletAttention,
    WindowAttention,
    because=DOT_PRODUCTS,
)
no_lipschitz_bound(
    CrossCovarianceAttention,
    because="multiplies channels with channels, all over the map: its slope has no limit",
)


@lipschitz_rule(LipschitzAttention)
@torch.no_grad()
def _lipschitz_attention(module: LipschitzAttention, tokens: int | None) -> float:
    """``‖W_O‖`` times the smaller of two sums over heads and terms.

    ``√Σ_h (√c (‖W_V‖ + τ ‖W_K‖) + τ ‖W_Q‖)²`` and ``‖√c W_V‖ + ‖τ √c W_K‖ + ‖τ W_Q‖`` with all
    heads' rows, spectral norms.

    For one head with attention matrix P, a change of the inputs changes row i of ``P v̂`` by
    ``Σ P_ij δv_j + Σ P_ij (v_j − v̄_i) τ (δq_i·k_j + q_i·δk_j)``, at length 1. All vectors are
    shorter than 1, so by Cauchy-Schwarz the three terms are at most ``√c ‖δv‖``, ``τ ‖δq‖``
    and ``τ √c ‖δk‖`` over all rows, `c` the largest column sum of P. Scores lie within ±τ, so
    ``c ≤ n e^{2τ} / (n − 1 + e^{2τ})``, which is below n and below ``e^{2τ}``. Heads are put
    together in both ways there are: the three terms of each head first (a root of squares
    over heads), or each term over all heads first (the norm of all heads' rows as one matrix).

    Near what is reached for small τ and loose for large: the steepest derivative found is
    0.5 of it at τ = 0.1, 0.13 at 1 and 0.02 at 10 (16 channels, 9 random tokens). It counts for
    the mixer without a mask; it says nothing about the norm and the residual around it.
    """
    weights = matrix_of(module.qkv).double().unflatten(0, (3, module.num_heads, -1))
    scale = module.log_scale.double().exp().flatten()
    if tokens is None:
        root = scale.exp()
    else:
        count = check_at_least("tokens", tokens, 1)
        root = (count / (1 + (count - 1) * (-2 * scale).exp())).sqrt()
    # The terms of queries, keys and values, each with its factor, head by head.
    terms = weights * torch.stack([scale, scale * root, root])[:, :, None, None]
    by_head = torch.linalg.matrix_norm(terms, ord=2).sum(dim=0).norm()
    by_term = torch.linalg.matrix_norm(terms.flatten(1, 2), ord=2).sum()
    return lipschitz_of(module.proj) * float(torch.minimum(by_head, by_term))


@lipschitz_rule(WaveletConv)
def _wavelet_conv(module: WaveletConv, tokens: int | None) -> float:
    """Base and branch added; a branch is transform, convolutions and inverse, level by level.

    The grid is not known here, only how many tokens it has: the worst of its shapes counts,
    because an odd side repeats its last row.
    """
    if tokens is None:
        grids = [(1, 1)]  # odd at every level
    else:
        grids = [(h, tokens // h) for h in range(1, tokens + 1) if tokens % h == 0]
    return lipschitz_of(module.base) + max(_branch(module, grid, 0) for grid in grids)


def _branch(module: WaveletConv, grid: tuple[int, int], level: int) -> float:
    """What the branch of a map with these sides lengthens by, at most."""
    inner = lipschitz_of(module.bands[level])
    rows, columns = grid
    if level + 1 < len(module.bands):
        inner += _branch(module, (-(-rows // 2), -(-columns // 2)), level + 1)
    ways = (wavelet_norm(module.wavelet, grid, way=way) for way in ("analysis", "synthesis"))
    return math.prod(ways) * inner
