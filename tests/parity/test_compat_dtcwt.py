"""The drop-in classes beside pytorch-wavelets itself: same values, right gradients."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import BIORTS, QSHIFTS, dtcwt_max_level
from wavevit.wavelets._engine.dtcwt_filters import qshift_filter
from wavevit.wavelets.compat.dtcwt import DTCWTForward, DTCWTInverse
from wavevit.wavelets.compat.scattering import ScatLayer, ScatLayerj2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    import pytorch_wavelets as theirs
    from pytorch_wavelets.dtcwt import coeffs
    from pytorch_wavelets.scatternet.layers import ScatLayerj2 as TheirScatLayerj2

SIDES = sizes(1, 32)
CLOSE = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True, scope="module")
def _same_taps_in_double() -> Iterator[None]:
    """pytorch-wavelets builds its filters in the default dtype, here from our taps.

    Theirs differ by up to 6.5e-9 (tests/properties/test_dtcwt_filters.py), and the transforms are
    to be equal to more than that.
    """
    theirs_by_name = dict(coeffs.COEFF_CACHE)
    for name in QSHIFTS:
        low = np.array(qshift_filter(name))
        odd = (-1.0) ** np.arange(len(low))
        trees = {"h0a": low, "h0b": low[::-1], "g0a": low[::-1], "g0b": low}
        trees |= {"h1a": odd * low[::-1], "h1b": -odd * low}
        trees |= {"g1a": trees["h1b"], "g1b": trees["h1a"]}
        coeffs.COEFF_CACHE[name] = trees
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    coeffs.COEFF_CACHE.clear()
    coeffs.COEFF_CACHE.update(theirs_by_name)


@given(
    x=images(SIDES, SIDES, batch=1),
    levels=st.integers(0, 4),
    banks=st.tuples(st.sampled_from(BIORTS), st.sampled_from(QSHIFTS)),
    mode=st.sampled_from(["symmetric", "zero"]),
)
def test_forward_and_inverse(x: torch.Tensor, levels: int, banks: tuple[str, str], mode) -> None:
    levels = min(levels, dtcwt_max_level(x.shape[-2], x.shape[-1]))
    options = {"biort": banks[0], "qshift": banks[1], "mode": mode}
    low, highs = DTCWTForward(J=levels, **options)(x)
    expected_low, expected_highs = theirs.DTCWTForward(J=levels, **options)(x)
    torch.testing.assert_close(low, expected_low, **CLOSE)
    if levels == 0:
        assert highs is expected_highs is None
        return
    torch.testing.assert_close(highs, expected_highs, **CLOSE)
    back = DTCWTInverse(**options)((low, highs))
    torch.testing.assert_close(
        back, theirs.DTCWTInverse(**options)((expected_low, expected_highs)), **CLOSE
    )


@pytest.mark.parametrize(("o_dim", "ri_dim"), [(2, -1), (1, 2), (2, 3), (-1, 2), (4, 5)])
def test_axes(o_dim: int, ri_dim: int) -> None:
    x = torch.randn(2, 3, 12, 16)
    axes = {"o_dim": o_dim, "ri_dim": ri_dim}
    low, highs = DTCWTForward(J=2, **axes)(x)
    _, expected = theirs.DTCWTForward(J=2, **axes)(x)
    assert [h.shape for h in highs] == [h.shape for h in expected]
    torch.testing.assert_close(highs, expected, **CLOSE)
    torch.testing.assert_close(DTCWTInverse(**axes)((low, highs)), x)


def test_skipped_bands_and_scales() -> None:
    x = torch.randn(1, 2, 16, 24)
    options = {"J": 3, "skip_hps": [True, False, True], "include_scale": [True, False, True]}
    lows, highs = DTCWTForward(**options)(x)
    expected_lows, expected_highs = theirs.DTCWTForward(**options)(x)
    torch.testing.assert_close(highs, expected_highs, **CLOSE)
    torch.testing.assert_close(lows, expected_lows, **CLOSE)


def test_inverse_without_some_bands() -> None:
    low, highs = DTCWTForward(J=2)(torch.randn(1, 2, 16, 24))
    for missing in (None, torch.zeros([])):
        bands = [missing, highs[1]]
        torch.testing.assert_close(
            DTCWTInverse()((low, bands)), theirs.DTCWTInverse()((low, bands)), **CLOSE
        )


@given(
    x=images(SIDES, SIDES, channels=3),
    biort=st.sampled_from(BIORTS),
    bias=st.floats(1e-3, 1),
    combine=st.booleans(),
    mode=st.sampled_from(["symmetric", "zero"]),
)
def test_scat_layer(x: torch.Tensor, biort: str, bias: float, combine: bool, mode: str) -> None:
    options = {"biort": biort, "magbias": bias, "combine_colour": combine, "mode": mode}
    torch.testing.assert_close(ScatLayer(**options)(x), theirs.ScatLayer(**options)(x), **CLOSE)


@given(
    x=images(sizes(4, 24), sizes(4, 24), channels=3),
    banks=st.tuples(st.sampled_from(BIORTS), st.sampled_from(QSHIFTS)),
    bias=st.floats(1e-3, 1),
    combine=st.booleans(),
)
def test_scat_layer_of_two_scales(x: torch.Tensor, banks, bias: float, combine: bool) -> None:
    options = {"magbias": bias, "combine_colour": combine}
    ours, expected = (make(*banks, **options)(x) for make in (ScatLayerj2, TheirScatLayerj2))
    torch.testing.assert_close(ours, expected, **CLOSE)


def test_inverse_without_approximation() -> None:
    """As documented there; the original itself stops with an error."""
    low, highs = DTCWTForward(J=2)(torch.randn(1, 2, 16, 24))
    expected = DTCWTInverse()((torch.zeros_like(low), highs))
    for missing in (None, torch.zeros([]), torch.zeros(0)):
        torch.testing.assert_close(DTCWTInverse()((missing, highs)), expected, **CLOSE)


@pytest.mark.parametrize("mode", ["symmetric", "zero"])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (6, 3)])
def test_gradients(size: tuple[int, int], mode: str) -> None:
    x = torch.randn(1, 3, *size, requires_grad=True)
    forward, inverse = DTCWTForward(J=2, mode=mode), DTCWTInverse(mode=mode)

    def flat(image: torch.Tensor) -> torch.Tensor:
        low, highs = forward(image)
        return torch.cat([part.flatten() for part in (low, *highs)])

    assert torch.autograd.gradcheck(flat, (x,), check_forward_ad=True, fast_mode=True)
    low, highs = forward(x.detach())
    parts = [part.requires_grad_() for part in (low, *highs)]
    assert torch.autograd.gradcheck(lambda a, *b: inverse((a, b)), parts, fast_mode=True)
    for combine in (False, True):
        layer = ScatLayer(mode=mode, combine_colour=combine)
        assert torch.autograd.gradcheck(layer, (x,), fast_mode=True)


def test_gradients_of_two_scales() -> None:
    for combine in (False, True):
        x = torch.randn(1, 3 if combine else 1, 6, 5, requires_grad=True)
        layer = ScatLayerj2(combine_colour=combine)
        assert torch.autograd.gradcheck(layer, (x,), check_forward_ad=True, fast_mode=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DTCWTForward(o_dim=2, ri_dim=-4), "o_dim: expected another axis than ri_dim"),
        (lambda: DTCWTForward(biort="near_sym_c"), "biort: expected one of"),
        (lambda: DTCWTForward(mode="mirror"), "mode: expected one of"),
        (lambda: DTCWTForward(J=2, skip_hps=[True]), "skip_hps: expected one boolean or 2"),
        (
            lambda: DTCWTForward(biort=([1.0],)),
            "biort: expected a name or 2 filters, got 1 filters",
        ),
        (lambda: DTCWTForward(biort=([1.0, 1.0], [1.0])), "biort: expected filters of odd length"),
        (lambda: DTCWTInverse(qshift=([1.0],) * 4), "qshift: expected four filters of one even"),
        (lambda: DTCWTInverse(qshift=([1.0, 1.0],) * 3), "qshift: expected a name or 4 filters"),
        (lambda: DTCWTInverse(qshift="qshift_b_bp"), "qshift: expected one of"),
        (lambda: ScatLayerj2(mode="zero"), "mode: expected one of"),
        (
            lambda: ScatLayerj2()(torch.zeros(1, 1, 2, 8)),
            "x: expected at least 3 pixels on axis -2",
        ),
        (lambda: ScatLayer(magbias=0.0), "magbias: expected a positive number"),
        (
            lambda: ScatLayer(combine_colour=True)(torch.zeros(1, 2, 4, 4)),
            "x: expected 3 channels",
        ),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
