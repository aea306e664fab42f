"""Shift measures on callables whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tensors import noise
from wavevit.measure import (
    fourier_shift,
    shift_consistency,
    shift_sensitivity,
    shifted,
    token_change,
    token_turnover,
)
from wavevit.testing.strategies import images, shifts, sizes


def mean_of_channels(x: torch.Tensor) -> torch.Tensor:
    return x.mean(dim=(2, 3))


def corner_pixels(x: torch.Tensor) -> torch.Tensor:
    return x[:, :, 0, 0]


@given(x=images(sizes(4, 12), sizes(4, 12)), shift=shifts(9))
def test_fourier_shift_by_whole_pixels_is_a_roll(x: torch.Tensor, shift: tuple[int, int]) -> None:
    expected = torch.roll(x, shift, (-2, -1))
    torch.testing.assert_close(fourier_shift(x, shift), expected, rtol=0, atol=1e-10)


@given(x=images(sizes(5, 11), sizes(5, 11)), a=st.floats(-2, 2), b=st.floats(-2, 2))
def test_fourier_shifts_add_up(x: torch.Tensor, a: float, b: float) -> None:
    odd = x[..., : (x.shape[-2] - 1) // 2 * 2 + 1, : (x.shape[-1] - 1) // 2 * 2 + 1]
    twice = fourier_shift(fourier_shift(odd, (a, -a)), (b, -b))
    torch.testing.assert_close(twice, fourier_shift(odd, (a + b, -a - b)), rtol=0, atol=1e-10)


def test_a_crop_shift_moves_the_content_with_the_sign_of_a_roll() -> None:
    windows = noise(1, 1, 12, 12)
    moved = shifted(windows, (1, -2), "crop", (8, 8))
    torch.testing.assert_close(moved, windows[..., 1:9, 4:12])
    rolled = torch.roll(windows, (1, -2), (-2, -1))[..., 2:10, 2:10]
    torch.testing.assert_close(moved, rolled)
    half = shifted(windows, (0.5, 0), "crop", (8, 8))
    torch.testing.assert_close(half, fourier_shift(windows, (0.5, 0))[..., 2:10, 2:10])


def test_bad_shifts() -> None:
    x = noise(1, 1, 8, 8)
    with pytest.raises(ValueError, match="kind: expected one of"):
        shifted(x, (1, 1), "zoom")
    with pytest.raises(ValueError, match="shift: expected whole pixels for kind='circular'"):
        shifted(x, (0.5, 0), "circular")
    with pytest.raises(ValueError, match="crop_size"):
        shifted(x, (1, 0), "crop")
    with pytest.raises(ValueError, match="images: expected windows that hold a crop of 8 pixels"):
        shifted(x, (1, 0), "crop", (8, 8))


@pytest.mark.parametrize("kind", ["circular", "subpixel"])
def test_an_invariant_model_is_fully_consistent(kind: str) -> None:
    found = shift_consistency(mean_of_channels, noise(6, 5, 14, 14), kind=kind)
    assert found.percent == 100
    assert found.pairs == 24
    assert found.max_shift == 2


def test_consistency_of_a_model_that_reads_one_pixel() -> None:
    """Two channels of white noise, argmax at a random place: the same half of the time."""
    found = shift_consistency(
        corner_pixels, noise(200, 2, 28, 28), kind="circular", pairs_per_image=10
    )
    # Equal offsets (1 in 81) agree always, others in half of the pairs.
    expected = 100 * (1 / 81 + 80 / 81 / 2)
    assert abs(found.percent - expected) < 4 * found.stderr
    assert found.stderr == pytest.approx(100 * math.sqrt(0.25 / 2000), rel=0.05)


def test_crop_consistency_uses_offsets_within_a_window_8_7_as_large() -> None:
    """A model that sees whether the crop contains a bright line loses it only at large offsets."""
    windows = torch.zeros(64, 1, 48, 48)
    windows[..., 8] = 1.0  # the first column of the centred crop

    def sees_the_line(x: torch.Tensor) -> torch.Tensor:
        seen = x.amax(dim=(1, 2, 3))
        return torch.stack([seen, 0.5 * torch.ones_like(seen)], dim=1)

    found = shift_consistency(sees_the_line, windows, kind="crop", crop_size=32)
    assert found.max_shift == 2
    assert 0 < found.percent < 100


def test_sensitivity_of_an_invariant_and_of_a_forgetful_model() -> None:
    x = noise(40, 3, 16, 16)
    invariant = shift_sensitivity(mean_of_channels, x, (0.5, 1, 4), kind="circular")
    assert max(invariant.values) < 1e-12
    # The pixel under a shifted image is another draw of the same noise: as far as another image.
    forgetful = shift_sensitivity(corner_pixels, x, (1, 4), kind="circular")
    assert forgetful.values == pytest.approx((1.0, 1.0), abs=4 * max(forgetful.stderr))


def test_sensitivity_needs_images_that_differ() -> None:
    with pytest.raises(ValueError, match="images: expected at least 2"):
        shift_sensitivity(mean_of_channels, noise(1, 1, 8, 8), (1,), kind="circular")
    with pytest.raises(ValueError, match="embed: expected embeddings that differ"):
        shift_sensitivity(mean_of_channels, torch.ones(3, 1, 8, 8), (1,), kind="circular")


def test_models_must_answer_with_one_finite_tensor() -> None:
    x = noise(2, 1, 8, 8)
    for model, message in (
        (lambda x: (x, x), "model: expected a callable that returns one tensor"),
        (lambda x: x.mean(dim=(2, 3)) * float("nan"), "model: expected finite outputs"),
        (lambda x: x.sum(), "model: expected an output with 2 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            shift_sensitivity(model, x, (1,), kind="circular")


def test_token_turnover_of_patches() -> None:
    """Patches of white noise: a shift by the patch permutes them, by one pixel replaces them."""
    x = noise(8, 1, 16, 16)

    def patches(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_unshuffle(x, 4)

    assert token_turnover(patches, x, (0, 4), kind="circular").percent == 0
    one = token_turnover(patches, x, (0, 1), kind="circular")
    assert one.percent == 100
    assert one.mean_change > 1
    assert one.tokens == 8 * 16
    with pytest.raises(ValueError, match="tokenize: expected maps"):
        token_turnover(mean_of_channels, x, (0, 1), kind="circular")


def test_token_change_finds_the_roll() -> None:
    before = noise(2, 5, 4, 4)
    after = torch.stack([torch.roll(before[0], (1, 2), (1, 2)), before[1]])
    torch.testing.assert_close(token_change(before, after), torch.zeros(2, 4, 4).double())


def test_crossed_pairs_take_fewer_passes_and_are_worth_fewer_trials() -> None:
    seen: list[int] = []

    def counted(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return corner_pixels(x)

    images = noise(200, 2, 28, 28)
    found = shift_consistency(counted, images, kind="circular", pairs_per_image=9, crossed=True)
    assert sum(seen) == 200 * 2 * 3
    assert found.pairs == 200 * 9
    assert found.trials <= found.pairs
    expected = 100 * (1 / 81 + 80 / 81 / 2)
    low, high = found.interval
    assert low - 2 < expected < high + 2
    with pytest.raises(ValueError, match="pairs_per_image: expected a square number"):
        shift_consistency(counted, images, kind="circular", pairs_per_image=3, crossed=True)


def test_sensitivity_to_some_shifts_may_use_fewer_images() -> None:
    x = noise(12, 3, 16, 16)
    every = shift_sensitivity(corner_pixels, x, (1, 4), kind="circular")
    some = shift_sensitivity(corner_pixels, x, (1, 4), kind="circular", counts=(12, 5))
    assert every.counts == (12, 12)
    assert some.counts == (12, 5)
    assert some.values[0] == every.values[0]  # the unit is still of all images
    assert some.values[1] != every.values[1]
    widths = [high - low for low, high in some.interval]
    assert widths[1] > every.interval[1][1] - every.interval[1][0]
    with pytest.raises(ValueError, match="counts: expected one for each of 2 shifts"):
        shift_sensitivity(corner_pixels, x, (1, 4), kind="circular", counts=(12,))
    with pytest.raises(ValueError, match="counts: expected numbers from 1 to 12"):
        shift_sensitivity(corner_pixels, x, (1, 4), kind="circular", counts=(12, 13))
