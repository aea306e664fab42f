"""The dual tree's filter banks: reconstruction, orthonormality, and the values everybody uses."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest

from wavevit.wavelets import BIORTS, QSHIFTS
from wavevit.wavelets._engine.dtcwt_filters import _PRINTED, biorthogonal_pair, qshift_filter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    oracle = importlib.import_module("pytorch_wavelets.dtcwt.coeffs")


@pytest.mark.parametrize("name", BIORTS)
def test_level_one_reconstructs(name: str) -> None:
    pair = biorthogonal_pair(name)
    total = np.convolve(pair.h0, pair.g0) + np.convolve(pair.h1, pair.g1)
    impulse = np.zeros_like(total)
    impulse[len(total) // 2] = 1
    np.testing.assert_allclose(total, impulse, atol=1e-15)
    assert sum(pair.h0) == pytest.approx(1, abs=1e-14)
    assert sum(pair.g0) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("name", BIORTS)
def test_level_one_equals_the_oracle(name: str) -> None:
    pair = biorthogonal_pair(name)
    for ours, theirs in zip((pair.h0, pair.g0, pair.h1, pair.g1), oracle.biort(name), strict=True):
        np.testing.assert_allclose(ours, theirs.ravel(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", QSHIFTS)
def test_qshift_is_orthonormal_and_half_a_sample_apart(name: str) -> None:
    low = np.array(qshift_filter(name))
    for shift in range(0, len(low), 2):
        product = low[shift:] @ low[: len(low) - shift]
        assert product == pytest.approx(float(shift == 0), abs=1e-15)
    # Two trees: the filter and its reverse. Over the low-pass's band their phases run apart by
    # half a sample on average, best for the long filters.
    n, omega = np.arange(len(low)), np.linspace(0.05, np.pi / 2, 64)
    phase = np.unwrap(np.angle(np.exp(-1j * np.outer(omega, n - (len(low) - 1) / 2)) @ low))
    apart = float((2 * phase @ omega) / (omega @ omega))
    assert apart == pytest.approx(0.5, abs=0.08 if name == "qshift_06" else 0.02)


@pytest.mark.parametrize("name", QSHIFTS)
def test_qshift_equals_the_oracle(name: str) -> None:
    """To what is printed: the decimals agree, and what is computed behind them changes none."""
    expected = oracle.qshift(name)[0].ravel()
    if name == "qshift_06":  # a construction, not a table
        np.testing.assert_allclose(qshift_filter(name), expected, rtol=0, atol=1e-14)
        return
    np.testing.assert_array_equal(np.round(expected, 8), _PRINTED[name])
    np.testing.assert_allclose(qshift_filter(name), expected, rtol=0, atol=1e-8)
    ours = np.array(qshift_filter(name), dtype=np.float32)
    np.testing.assert_allclose(ours, expected.astype(np.float32), rtol=0, atol=6e-8)  # one ulp


def test_printed_taps_alone_do_not_reconstruct() -> None:
    """Negative control: without the computed digits the taps are orthonormal to 1e-8 only."""
    low = np.array(_PRINTED["qshift_d"])
    assert abs(low @ low - 1) > 1e-9


def design_error(taps: np.ndarray, cutoff: float) -> float:
    """How far a Q-shift filter is from the minimum that its paper describes, 0 at the minimum.

    The filter and its time reverse, interleaved, are one symmetric filter at twice the rate. Its
    energy above `cutoff` times π is to be least; the gradient is compared with what orthonormality
    and two zeros at ω = π leave free.
    """
    n = len(taps)
    k, places = np.arange(n), np.arange(2 * n)
    interleave = np.zeros((2 * n, n))
    interleave[2 * k + 1, k] += 1
    interleave[2 * n - 2 - 2 * k, k] += 1
    lag = np.subtract.outer(places, places).astype(float)
    # The integral of cos(lag ω) from the cutoff to π.
    energy = np.where(lag == 0, np.pi * (1 - cutoff), 0)
    energy[lag != 0] = -np.sin(lag[lag != 0] * np.pi * cutoff) / lag[lag != 0]
    gradient = 2 * interleave.T @ energy @ interleave @ taps
    sign = (-1.0) ** k
    fixed = [sign, sign * k]
    for m in range(0, n, 2):
        ahead, behind = np.append(taps[m:], np.zeros(m)), np.append(np.zeros(m), taps[: n - m])
        fixed.append(ahead + behind)
    normals = np.array(fixed).T
    free = gradient - normals @ np.linalg.lstsq(normals, gradient, rcond=None)[0]
    return float(np.linalg.norm(free) / np.linalg.norm(gradient))


@pytest.mark.parametrize("name", ["qshift_a", "qshift_b", "qshift_c", "qshift_d"])
def test_qshift_taps_are_what_their_paper_designs(name: str) -> None:
    """Two of the four are printed in no paper that we found: this is the check that they belong."""
    taps = np.array(qshift_filter(name))
    cutoffs = np.linspace(0.34, 0.36, 81)
    best = min(cutoffs, key=lambda cutoff: design_error(taps, cutoff))
    assert 0.345 <= best <= 0.3525
    assert design_error(taps, best) < 0.01
    # Negative controls: another cutoff, and the Q-shift filter that was designed otherwise.
    assert design_error(taps, 0.4) > 0.1
    other = np.array(qshift_filter("qshift_06"))
    assert min(design_error(other, cutoff) for cutoff in cutoffs) > 0.1
