"""The integer Haar transform is a bijection."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.wavelets import (
    Pyramid,
    integer_haar2,
    integer_haar2_bounds,
    inverse_integer_haar2,
    wavedec2,
)


def random_bytes(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("upright", [False, True])
def test_every_pair_of_bytes_comes_back(upright: bool) -> None:
    """All 65 536 pairs, as one image of pairs along either axis."""
    pairs = torch.cartesian_prod(torch.arange(256), torch.arange(256)).to(torch.uint8)
    image = pairs.reshape(1, 1, 256, 512)
    image = image.transpose(2, 3).contiguous() if upright else image
    assert torch.equal(inverse_integer_haar2(integer_haar2(image)), image.int())


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("signed", [False, True])
def test_smallest_and_largest_numbers_come_back(signed: bool, bits: int) -> None:
    """Their sums and differences do not fit in 32 or 64 bits."""
    dtype = getattr(torch, f"{'' if signed else 'u'}int{bits}")
    if dtype == torch.uint64:
        with pytest.raises(ValueError, match="images: expected an integer dtype other than uint64"):
            integer_haar2(torch.zeros(1, 1, 2, 2).to(dtype))
        return
    low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    values = torch.tensor([low, low + 1, (low + high) // 2, high - 1, high])
    blocks = torch.cartesian_prod(*[values] * 4).reshape(1, 1, -1, 4)
    image = blocks.to(dtype)
    found = inverse_integer_haar2(integer_haar2(image, 2), blocks.shape[-2:])
    assert torch.equal(found.long(), blocks)


def test_no_two_blocks_have_the_same_coefficients() -> None:
    """All 2 x 2 blocks of 16 values, from 0 and up to 255: as many results as blocks."""
    values = torch.cat([torch.arange(8), torch.arange(248, 256)])
    blocks = torch.cartesian_prod(*[values] * 4).reshape(-1, 1, 2, 2)
    pyramid = integer_haar2(blocks)
    rows = torch.cat([pyramid.approx.flatten(1), pyramid.details[0].flatten(1)], dim=1)
    assert len(torch.unique(rows, dim=0)) == 16**4
    assert torch.equal(inverse_integer_haar2(pyramid), blocks)
    assert (int(pyramid.approx.min()), int(pyramid.approx.max())) == (0, 255)
    horizontal, vertical, diagonal = pyramid.details[0].unbind(2)
    for band, reach in ((horizontal, 255), (vertical, 255), (diagonal, 510)):
        assert (int(band.min()), int(band.max())) == (-reach, reach)


@given(st.integers(1, 19), st.integers(1, 19), st.integers(1, 5), st.integers(0, 2**31))
def test_images_of_any_size_come_back(height: int, width: int, level: int, seed: int) -> None:
    image = random_bytes(2, 3, height, width, seed=seed)
    pyramid = integer_haar2(image, level)
    assert torch.equal(inverse_integer_haar2(pyramid, (height, width)), image.int())


@given(st.integers(0, 2**31))
def test_any_integers_are_coefficients_of_an_image(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sides = [(3, 2), (6, 4)]
    shapes = [(1, 2, 3, *side) for side in sides]
    draw = [torch.randint(-999, 999, shape, generator=generator).int() for shape in shapes]
    approx = torch.randint(-999, 999, (1, 2, 3, 2), generator=generator).int()
    image = inverse_integer_haar2(Pyramid(approx, tuple(draw)))
    again = integer_haar2(image, 2)
    assert torch.equal(again.approx, approx)
    assert all(torch.equal(a, b) for a, b in zip(again.details, draw, strict=True))


def test_bands_are_those_of_haar_to_within_rounding() -> None:
    image = random_bytes(1, 1, 32, 32)
    ours = integer_haar2(image)
    haar = wavedec2(image.double(), "haar", level=1)
    scale = torch.tensor([1.0, 1.0, 2.0]).reshape(3, 1, 1)
    assert (ours.details[0] - haar.details[0] * scale).abs().max() <= 1
    assert (ours.approx - haar.approx / 2).abs().max() <= 1


def test_negative_control_rounded_haar_loses_images() -> None:
    pairs = torch.cartesian_prod(torch.arange(256), torch.arange(256))
    mean, half = pairs.sum(1) // 2, (pairs[:, 0] - pairs[:, 1]) // 2
    assert len(torch.unique(torch.stack([mean, half]), dim=1)[0]) < 65536


@pytest.mark.parametrize(
    ("image", "level", "message"),
    [
        (torch.zeros(1, 1, 4, 4), 1, "images: expected an integer dtype"),
        (torch.zeros(4, 4, dtype=torch.uint8), 1, "images: expected a tensor of 4 dimensions"),
        (torch.zeros(1, 1, 0, 4, dtype=torch.uint8), 1, "without an empty side"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), 0, "level: expected an integer of at least 1"),
    ],
)
def test_bad_images_are_refused(image: torch.Tensor, level: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        integer_haar2(image, level)


def test_bad_pyramids_are_refused() -> None:
    approx, bands = torch.zeros(1, 1, 2, 2).int(), torch.zeros(1, 1, 3, 2, 2).int()
    with pytest.raises(ValueError, match=r"pyramid.details\[0\]: expected sides of"):
        inverse_integer_haar2(Pyramid(approx, (bands.repeat_interleave(2, 4),)))
    with pytest.raises(ValueError, match="expected an integer dtype"):
        inverse_integer_haar2(Pyramid(approx, (bands.float(),)))
    with pytest.raises(ValueError, match=r"output_size: expected .* reconstruction's \(4, 4\)"):
        inverse_integer_haar2(Pyramid(approx, (bands,)), (4, 2))
    with pytest.raises(ValueError, match="at least one level"):
        inverse_integer_haar2(Pyramid(approx, ()))


@pytest.mark.parametrize(("low", "high"), [(0, 4), (-2, 1)])
def test_details_within_the_bounds_are_one_to_one_with_blocks(low: int, high: int) -> None:
    """Every combination of coefficients is tried: exactly the blocks of the range pass."""
    reach = 2 * (high - low) + 1
    wide = torch.arange(-reach, reach + 1)
    rows = torch.cartesian_prod(torch.arange(low, high + 1), wide, wide, wide)
    approx, bands = rows[:, :1, None, None], rows[:, None, 1:, None, None]
    lows, highs = integer_haar2_bounds(approx, bands, low, high)
    inside = ((bands >= lows) & (bands <= highs)).flatten(1).all(1)
    images = inverse_integer_haar2(Pyramid(approx, (bands,)))
    valid = ((images >= low) & (images <= high)).flatten(1).all(1)
    assert torch.equal(inside, valid)
    assert int(inside.sum()) == (high - low + 1) ** 4


def test_details_of_byte_images_are_within_the_bounds() -> None:
    image = random_bytes(1, 2, 64, 64) // 128 * 255
    pyramid = integer_haar2(image, 1)
    lows, highs = integer_haar2_bounds(pyramid.approx, pyramid.details[0])
    assert ((pyramid.details[0] >= lows) & (pyramid.details[0] <= highs)).all()
    assert (pyramid.details[0] == lows).any()
    assert (pyramid.details[0] == highs).any()
