"""What commutes with fractions of a token step, and what is seen not to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from wavevit.layers import ACTIVATIONS, NORMS
from wavevit.layers.activations import make_activation
from wavevit.layers.band_limit import decimate, resample, windowed_sinc
from wavevit.layers.blocks import Block, ConvMlp
from wavevit.layers.mixers import CrossCovarianceAttention, GlobalAttention
from wavevit.layers.norms import make_norm, norm_symmetry
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


def test_negative_control_decimation_without_low_pass_fails() -> None:
    """Negative control: every second sample of a map with all its harmonics."""
    x = torch.randn(1, 2, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = fourier_shift(x, (0.0, 1.0))[..., ::2, ::2]
    with pytest.raises(AssertionError, match="relative error"):
        assert_close_relative(moved, fourier_shift(x[..., ::2, ::2], (0.0, 0.5)), bound=1e-3)


def alias_gain(samples: int, cells: int) -> float:
    """Largest energy that the short filter folds onto one harmonic of the coarse grid, out of 1."""
    row = windowed_sinc(samples, cells, torch.zeros((), dtype=torch.float64))[0]
    energy = torch.fft.fft(row).abs().square()
    kept = torch.fft.fftfreq(cells, 1 / cells).long()
    folded = energy.unflatten(0, (-1, cells)).sum(0) - energy[kept]
    return float(folded[2 * kept.abs() < cells].max())


@given(
    x=images(st.integers(2, 6).map(lambda n: 8 * n), st.integers(2, 6).map(lambda n: 8 * n)),
    step=st.sampled_from([2, 4, 8]),
    shift=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
)
def test_a_short_low_pass_follows_shifts_up_to_its_alias(
    x: Tensor, step: int, shift: tuple[int, int]
) -> None:
    """Whole coarse steps exactly. For others the error per sample is at most twice what folds
    (Cauchy-Schwarz): by harmonic, e = Σ (e^{iα} - e^{iβ}) H x over those that fold."""
    coarse = decimate(x, step, "short")
    whole = torch.roll(x, (step * shift[0], step * shift[1]), (-2, -1))
    expected = torch.roll(coarse, shift, (-2, -1))
    assert_close_relative(decimate(whole, step, "short"), expected, bound=1e-9)
    moved = decimate(torch.roll(x, shift, (-2, -1)), step, "short")
    steps = (shift[0] / step, shift[1] / step)
    # On either grid the harmonic at Nyquist has no phase of its own: it is left out.
    error = band_limited(moved) - fourier_shift(band_limited(coarse), steps)
    gains = [alias_gain(n, n // step) for n in x.shape[-2:]]
    bound = 2 * ((1 + gains[0]) * (1 + gains[1]) - 1) ** 0.5
    rms, size = (tensor.square().mean().sqrt() for tensor in (error, x))
    assert rms <= bound * size + 1e-12
    assert bound < 0.35


@pytest.mark.parametrize("step", [2, 4, 8])
def test_how_far_a_short_low_pass_is_from_exact(step: int) -> None:
    """White noise: 1 to 9 % where plain striding misses by more than all of it; both are seen to
    fail the law of the ideal one."""
    x = torch.randn(4, 3, 48, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = {}
    for low_pass in ("ideal", "short", "none"):
        coarse = decimate(x, step, low_pass)
        moved = decimate(torch.roll(x, (1, 1), (-2, -1)), step, low_pass)
        error = band_limited(moved) - fourier_shift(band_limited(coarse), (1 / step, 1 / step))
        errors[low_pass] = float(error.norm() / coarse.norm())
    assert errors["ideal"] < 1e-12
    assert 0.01 < errors["short"] < 0.09 < 1 < errors["none"], errors


@pytest.mark.parametrize("circular", [True, False])
@given(x=images(sizes(1, 40), sizes(1, 40)), step=st.sampled_from([2, 8]))
def test_a_short_low_pass_keeps_constants(circular: bool, x: Tensor, step: int) -> None:
    constant = torch.full_like(x, 0.7)
    out = decimate(constant, step, "short", circular)
    assert out.shape[-2:] == tuple(-(-side // step) for side in x.shape[-2:])
    torch.testing.assert_close(out, torch.full_like(out, 0.7), rtol=1e-12, atol=1e-12)


def test_an_open_border_does_not_see_the_other_side() -> None:
    """A change at the right edge reaches the first cells on a circle, and not without one."""
    x = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    edge = x.clone()
    edge[..., -1] = 1
    first = {c: decimate(edge, 8, "short", c)[..., 0].abs().max() for c in (True, False)}
    assert first[False] == 0 < 1e-3 < first[True]
    assert decimate(edge, 8, "short", False)[..., -1].abs().max() > 1e-3


def layers() -> dict[str, tuple[Tokens, bool]]:
    """Each part with what it declares about fractions of a step."""
    parts: dict[str, Part] = {
        "cross_covariance": CrossCovarianceAttention(4, 2),
        "covariance": CrossCovarianceAttention(4, 2, normalize=False),
        "global": GlobalAttention(4, 2),
        "conv position": ConvPosition(4, "circular"),
        **{f"mlp {kind}": ConvMlp(4, 6, "circular", kind) for kind in ACTIVATIONS.names()},
    }
    found = {name: (weighted(part), part.symmetry.alias_free) for name, part in parts.items()}
    for kind in NORMS.names():
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
def test_negative_control_other_layers_break_fractions(name: str) -> None:
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
