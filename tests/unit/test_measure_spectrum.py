"""Frame bounds and aliasing of maps whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.layers.tokenizers import OverlapTokenizer, PatchTokenizer
from wavevit.measure import aliasing_norm, frame_bounds
from wavevit.measure.extremes import extreme_squares
from wavevit.wavelets import dwt2


def bands(wavelet: str):
    return lambda x: dwt2(x, wavelet).flatten(1, 2)


def filtered(taps: list[float]):
    """A separable filter, then every second sample."""
    kernel = torch.tensor(taps, dtype=torch.float64) / sum(taps)
    square = torch.outer(kernel, kernel)[None, None]

    def tokenize(x: Tensor) -> Tensor:
        pad = len(taps) // 2
        x = F.pad(x, (pad, len(taps) - 1 - pad) * 2, mode="circular")
        return F.conv2d(x, square, stride=2)

    return tokenize


def dense(tokenize, side: int, in_chans: int) -> Tensor:
    """The whole matrix, one pixel at a time."""
    count = in_chans * side * side
    pixels = torch.eye(count, dtype=torch.float64).reshape(count, in_chans, side, side)
    return (tokenize(pixels) - tokenize(torch.zeros_like(pixels[:1]))).flatten(1).T


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4"])
def test_orthonormal_transforms_are_tight_and_alias_all_they_can(wavelet: str) -> None:
    bounds = frame_bounds(bands(wavelet), stride=2, in_chans=1)
    assert bounds.lower == pytest.approx(1)
    assert bounds.upper == pytest.approx(1)
    assert bounds.redundancy == 1
    assert aliasing_norm(bands(wavelet), stride=2, in_chans=1).relative == pytest.approx(2)


@pytest.mark.parametrize(
    ("taps", "relative"),
    [([1, 1], math.sqrt(2)), ([1, 2, 1], 1.0), ([1, 4, 6, 4, 1], 0.5)],
)
def test_low_passes_alias_less_the_smoother_they_are(taps: list[float], relative: float) -> None:
    assert aliasing_norm(filtered(taps), stride=2, in_chans=1).relative == pytest.approx(relative)


def test_biorthogonal_bounds_are_those_of_the_literature() -> None:
    bounds = frame_bounds(bands("bior2.2"), stride=2, in_chans=1, tokens=16)
    assert (bounds.lower, bounds.upper) == pytest.approx((0.25, 4.0))  # of rows times columns


def test_equal_to_the_singular_values_of_the_whole_matrix() -> None:
    torch.manual_seed(0)
    model = PatchTokenizer(2, 9, 2).double().requires_grad_(False)

    def tokenize(x: Tensor) -> Tensor:
        return model(x).permute(0, 3, 1, 2)

    values = torch.linalg.svdvals(dense(tokenize, 8, 2))
    bounds = frame_bounds(tokenize, stride=2, in_chans=2, tokens=4)
    assert bounds.operator_norm == pytest.approx(float(values.max()))
    assert bounds.lower == pytest.approx(float(values.min()) ** 2)


def test_aliasing_bounds_the_error_of_a_shift_on_the_whole_circle() -> None:
    """At stride 2 the answer to a shift by two pixels is the roll by one token: twice the bound."""
    tokenize = filtered([1, 1])
    norm = aliasing_norm(tokenize, stride=2, in_chans=1).norm
    x = torch.randn(1, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.fft(tokenize(x), dim=-1)
    frequency = torch.fft.fftfreq(8, dtype=torch.float64)
    half_token = torch.polar(torch.ones(8, dtype=torch.float64), -math.pi * frequency)
    moved = torch.fft.fft(tokenize(torch.roll(x, 1, -1)), dim=-1)
    assert (moved - spectrum * half_token).norm() / math.sqrt(8) <= norm * x.norm()


def test_no_stride_no_aliasing_and_fewer_channels_than_pixels_no_lower_bound() -> None:
    assert aliasing_norm(lambda x: 3 * x, stride=1).norm == pytest.approx(0, abs=1e-12)
    assert frame_bounds(lambda x: F.avg_pool2d(x, 4), stride=4).lower == 0


@pytest.mark.parametrize(
    ("tokenize", "message"),
    [
        (lambda x: F.avg_pool2d(x, 2).square(), "affine"),
        (lambda x: F.avg_pool2d(x, 2) * torch.arange(8.0), "commuting with shifts"),
        (lambda x: x, r"maps \(B, D, 8, 8\)"),
    ],
)
def test_maps_without_frame_bounds_are_refused(tokenize, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frame_bounds(tokenize, stride=2, in_chans=1)


def overlapping(dim: int, border: str):
    torch.manual_seed(0)
    model = OverlapTokenizer(1, dim, 4, border).double().requires_grad_(False)
    return lambda x: model(x).permute(0, 3, 1, 2)


@pytest.mark.parametrize("border", ["zeros", "circular"])
def test_borders_are_looked_at_whole_and_iteration_gets_near(border: str) -> None:
    """A circle's figures are those of the whole matrix too; without one there is no other way."""
    tokenize, size = overlapping(20, border), (1, 24, 16)
    images = torch.eye(24 * 16, dtype=torch.float64).reshape(-1, *size)
    matrix = (tokenize(images) - tokenize(torch.zeros_like(images[:1]))).flatten(1)
    squares = torch.linalg.svdvals(matrix).square()
    low, high = float(squares.min()), float(squares.max())
    found = frame_bounds(
        tokenize, stride=4, in_chans=1, tokens=(6, 4), circular=border == "circular"
    )
    assert found.exact
    assert found.method == ("circle" if border == "circular" else "dense")
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=1e-6)
    iterated = extreme_squares(tokenize, size, dense=0)
    assert iterated.method == "lanczos"
    assert iterated.upper == pytest.approx(high, rel=1e-9)
    assert low * (1 - 1e-9) <= iterated.lower <= low + iterated.residuals[0]


def test_larger_images_with_borders_are_iterated_and_say_so() -> None:
    """Reached from inside: within the residuals of the truth, which a circle encloses."""
    zeros = frame_bounds(
        overlapping(20, "zeros"), stride=4, in_chans=1, tokens=(17, 17), circular=False
    )
    assert (zeros.method, zeros.exact) == ("lanczos", False)
    assert zeros.residuals[1] < 1e-6
    around = frame_bounds(overlapping(20, "circular"), stride=4, in_chans=1, tokens=(18, 18))
    assert 0.98 * around.upper < zeros.upper <= around.upper
    assert (
        frame_bounds(overlapping(3, "zeros"), stride=4, in_chans=1, tokens=17, circular=False).lower
        == 0
    )  # fewer numbers out than in: known without looking


def test_what_is_not_affine_is_refused_with_borders_too() -> None:
    with pytest.raises(ValueError, match="affine"):
        frame_bounds(
            lambda x: F.avg_pool2d(x, 2).abs(), stride=2, in_chans=1, tokens=4, circular=False
        )
    with pytest.raises(ValueError, match="affine"):
        frame_bounds(lambda x: F.avg_pool2d(x, 2).abs(), stride=2, in_chans=1, tokens=4)
