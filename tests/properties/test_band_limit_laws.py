"""What commutes with fractions of a token step, and what is seen not to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from wavevit.layers.activations import ACTIVATIONS, make_activation
from wavevit.layers.band_limit import resample
from wavevit.layers.blocks import Block, ConvMlp
from wavevit.layers.mixers import CrossCovarianceAttention, GlobalAttention
from wavevit.layers.norms import NORMS, make_norm, norm_symmetry
from wavevit.layers.positions import ConvPosition
from wavevit.layers.symmetry import Part
from wavevit.measure import fourier_shift
from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes

SIDE = sizes(3, 13)
STEP = st.tuples(st.floats(-5, 5), st.floats(-5, 5))
Tokens = Callable[[Tensor, tuple[int, int]], Tensor]


def band_limited(x: Tensor) -> Tensor:
    """Without the harmonic at Nyquist, which has no phase."""
    return resample(x, (x.shape[-2], x.shape[-1]))


def on_map(layer: Tokens, x: Tensor) -> Tensor:
    """A layer of tokens, applied to a map (B, D, h, w)."""
    grid = (x.shape[-2], x.shape[-1])
    return layer(x.flatten(2).transpose(1, 2), grid).transpose(1, 2).unflatten(2, grid)


def commutes(layer: Tokens, x: Tensor, step: tuple[float, float]) -> None:
    """``layer(T_s x)`` is ``T_s layer(x)`` for any real number of steps."""
    x = band_limited(x)
    moved = on_map(layer, fourier_shift(x, step))
    expected = fourier_shift(on_map(layer, x), step)
    assert_close_relative(moved, expected, bound=1e-9)


def weighted(layer: nn.Module) -> nn.Module:
    """Weights of order 1, so that no branch is too quiet to be seen."""
    generator = torch.Generator().manual_seed(0)
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double() * 0.5)
    return layer


@given(x=images(SIDE, SIDE), size=st.tuples(SIDE, SIDE), step=STEP)
def test_resampling_follows_every_shift(
    x: Tensor, size: tuple[int, int], step: tuple[float, float]
) -> None:
    x = resample(x, (x.shape[-2], x.shape[-1]))
    scaled = tuple(s * new / old for s, new, old in zip(step, size, x.shape[-2:], strict=True))
    moved = resample(fourier_shift(x, step), size)
    assert_close_relative(moved, fourier_shift(resample(x, size), scaled), bound=1e-9)


@given(x=images(SIDE, SIDE, batch=1), step=STEP)
def test_resampling_keeps_sums_of_products_and_undoes_itself(
    x: Tensor, step: tuple[float, float]
) -> None:
    x = band_limited(x)
    finer = resample(x, (2 * x.shape[-2], 3 * x.shape[-1]))
    products = [torch.einsum("bchw,bdhw->bcd", m, m) / m[0, 0].numel() for m in (x, finer)]
    torch.testing.assert_close(*products, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(x.mean((2, 3)), finer.mean((2, 3)), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(resample(finer, x.shape[-2:]), x, rtol=1e-10, atol=1e-12)


def test_decimation_without_a_low_pass_is_seen_to_fail() -> None:
    """Negative control: every second sample of a map with all its harmonics."""
    x = torch.randn(1, 2, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = fourier_shift(x, (0.0, 1.0))[..., ::2, ::2]
    with pytest.raises(AssertionError, match="relative error"):
        assert_close_relative(moved, fourier_shift(x[..., ::2, ::2], (0.0, 0.5)), bound=1e-3)


def layers() -> dict[str, tuple[Tokens, bool]]:
    """Each part with what it declares about fractions of a step."""
    parts: dict[str, Part] = {
        "cross_covariance": CrossCovarianceAttention(4, 2),
        "covariance": CrossCovarianceAttention(4, 2, normalize=False),
        "global": GlobalAttention(4, 2),
        "conv position": ConvPosition(4, "circular"),
        **{f"mlp {kind}": ConvMlp(4, 6, "circular", kind) for kind in ACTIVATIONS},
    }
    found = {name: (weighted(part), part.symmetry.alias_free) for name, part in parts.items()}
    for kind in NORMS:
        norm = weighted(make_norm(kind, 4, 1e-6))
        found[f"norm {kind}"] = (lambda x, grid, f=norm: f(x), norm_symmetry(kind).alias_free)
    whole = Block(
        4,
        CrossCovarianceAttention(4, 2, normalize=False),
        ConvMlp(4, 6, "circular", "gate"),
        0.0,
        1e-6,
        "map",
    )
    found["block"] = (weighted(whole), True)
    return found


LAYERS = layers()
ALIAS_FREE = [name for name, (_, free) in LAYERS.items() if free]
ALIASING = [name for name, (_, free) in LAYERS.items() if not free]


@pytest.mark.parametrize("name", ALIAS_FREE)
@given(x=images(SIDE, SIDE, channels=4), step=STEP)
def test_alias_free_parts_keep_fractions_of_a_step(
    name: str, x: Tensor, step: tuple[float, float]
) -> None:
    commutes(LAYERS[name][0], x, step)


@pytest.mark.parametrize("name", ALIASING)
def test_other_parts_are_seen_to_break_them(name: str) -> None:
    """Negative control: what declares whole steps only does keep those, and no fraction."""
    x = torch.randn(2, 4, 8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    commutes(LAYERS[name][0], x, (2.0, -3.0))
    with pytest.raises(AssertionError, match="relative error"):
        commutes(LAYERS[name][0], x, (0.25, 0.5))


@pytest.mark.parametrize("side", [1, 2, 3, 8, 9])
def test_a_gate_is_the_product_where_the_product_fits(side: int) -> None:
    """One factor constant: nothing to remove."""
    x = torch.randn(1, 3, side, side, dtype=torch.float64)
    constant = torch.full_like(x, 0.5)
    gate = make_activation("gate")
    out = on_map(gate, torch.cat([x, constant], dim=1))
    torch.testing.assert_close(out, band_limited(x) / 2, rtol=1e-10, atol=1e-12)
