"""The bound of the Lipschitz mixer holds on every pair, and nothing smaller would."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.layers.mixers import GlobalAttention, LipschitzAttention
from wavevit.layers.rotary import Rotary
from wavevit.measure.certify import lipschitz_of

GRID = (2, 3)


def mixer(
    seed: int, heads: int, gain: float, scale: float, rotary: Rotary | None = None
) -> LipschitzAttention:
    torch.manual_seed(seed)
    made = LipschitzAttention(8 * heads, heads, rotary=rotary).double()
    with torch.no_grad():
        made.qkv.weight.normal_(std=gain)
        made.qkv.bias.normal_(std=gain)
        made.log_scale.fill_(math.log(scale))
    return made


def steepest(made: torch.nn.Module, x: torch.Tensor) -> float:
    """Spectral norm of the Jacobian at `x`."""
    jacobian = torch.autograd.functional.jacobian(lambda t: made(t, GRID), x)
    assert isinstance(jacobian, torch.Tensor)
    return float(torch.linalg.matrix_norm(jacobian.reshape(x.numel(), x.numel()), ord=2))


@given(
    seed=st.integers(0, 2**31),
    heads=st.integers(1, 3),
    gain=st.floats(0.01, 3.0),
    scale=st.floats(0.1, 20.0),
    size=st.floats(0.01, 30.0),
    step=st.floats(1e-3, 30.0),
    turned=st.booleans(),
)
def test_no_pair_exceeds_the_bound(
    seed: int, heads: int, gain: float, scale: float, size: float, step: float, turned: bool
) -> None:
    made = mixer(seed, heads, gain, scale, Rotary(8, "zeros") if turned else None)
    tokens = GRID[0] * GRID[1]
    bound = lipschitz_of(made, tokens)
    assert bound <= lipschitz_of(made, tokens + 1) <= lipschitz_of(made)
    x = size * torch.randn(1, tokens, 8 * heads, dtype=torch.float64)
    y = x + step * torch.randn_like(x)
    with torch.no_grad():
        ratio = (made(x, GRID) - made(y, GRID)).norm() / (x - y).norm()
    assert ratio <= bound * (1 + 1e-9)


@given(
    seed=st.integers(0, 2**31),
    gain=st.floats(0.1, 2.0),
    scale=st.floats(0.1, 20.0),
    size=st.floats(0.01, 10.0),
)
def test_no_derivative_exceeds_the_bound(seed: int, gain: float, scale: float, size: float) -> None:
    """Random pairs are far from the worst case; the steepest direction at a point is nearer."""
    made = mixer(seed, 2, gain, scale)
    x = size * torch.randn(1, GRID[0] * GRID[1], 16, dtype=torch.float64)
    assert steepest(made, x) <= lipschitz_of(made, x.shape[1]) * (1 + 1e-9)


@pytest.mark.parametrize("tokens", [1, 6])
def test_negative_control_smaller_constant_is_exceeded(tokens: int) -> None:
    """Negative control: near zero and without a scale the mixer averages, and meets its bound."""
    made = mixer(0, 1, 1.0, 1e-6)
    with torch.no_grad():
        made.qkv.bias.zero_()
        made.proj.bias.zero_()
        made.proj.weight.copy_(torch.eye(8))
    value = made.qkv.weight[16:]
    direction = torch.linalg.svd(value)[2][0]
    x = 1e-6 * direction.expand(1, tokens, 8)
    with torch.no_grad():
        ratio = made(x, (1, tokens)).norm() / x.norm()
    assert ratio > 0.999 * lipschitz_of(made, tokens)


def l2_attention_bound(made: LipschitzAttention, tokens: int) -> float:
    """Kim et al. 2021, theorem 3.2, for the same weights: φ(x) = x exp(x + 1)."""
    low, high = 0.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        below = middle * math.exp(middle + 1) < tokens - 1
        low, high = (middle, high) if below else (low, middle)
    weights = made.qkv.weight.detach().unflatten(0, (3, made.num_heads, -1))
    query, _, value = torch.linalg.matrix_norm(weights, ord=2)
    out = torch.linalg.matrix_norm(made.proj.weight.detach(), ord=2)
    head_dim = made.qkv.weight.shape[1] // made.num_heads
    return float((tokens / head_dim) ** 0.5 * (4 * low + 1) * (query * value).norm() * out)


@pytest.mark.parametrize(
    ("gain", "tokens", "smaller"),
    [(0.02, 49, False), (0.02, 196, True), (0.02, 3136, True), (0.1, 49, True)],
)
def test_beside_the_bound_of_l2_attention(gain: float, tokens: int, smaller: bool) -> None:
    """Neither is always smaller; ours is from many tokens or larger weights on (ViT-Ti's shape)."""
    torch.manual_seed(0)
    made = LipschitzAttention(192, 3).double()
    for linear in (made.qkv, made.proj):
        torch.nn.init.normal_(linear.weight, std=gain)
    assert (lipschitz_of(made, tokens) < l2_attention_bound(made, tokens)) == smaller


def test_plain_attention_has_no_such_bound() -> None:
    """Negative control (Kim et al. 2021): its derivative grows with the size of its inputs."""
    torch.manual_seed(0)
    plain = GlobalAttention(8, 1).double()
    bounded = mixer(0, 1, 1.0, 10.0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 6, 8, dtype=torch.float64, generator=generator)
    x[:, 0] = 0  # a query between keys: the scores of its row are equal and stay so
    with torch.no_grad():
        plain.qkv.bias.zero_()
    slopes = [steepest(plain, size * x) for size in (1.0, 10.0, 100.0)]
    assert slopes[1] > 10 * slopes[0]
    assert slopes[2] > 10 * slopes[1]
    assert all(steepest(bounded, s * x) <= lipschitz_of(bounded, 6) for s in (1, 10, 100))
