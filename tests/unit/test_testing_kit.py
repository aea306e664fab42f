"""The public assertions pass what keeps a law, and catch what breaks it, with a message."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

import wavevit
from tests.examples import examples
from tests.tensors import noise
from wavevit.measure import shift_sensitivity
from wavevit.tasks import create_task
from wavevit.testing import (
    NETWORK_TOLERANCES,
    assert_backbone_contract,
    assert_close_relative,
    assert_continuous,
    assert_lipschitz,
    assert_perfect_reconstruction,
    assert_shift_equivariant,
    assert_shift_invariant,
    assert_task_contract,
    steepest_pair,
)
from wavevit.testing.strategies import images, sizes, small_backbones, wavelets
from wavevit.wavelets import dwt2, filter_bank, idwt2

IMAGES = noise(3, 2, 16, 16)


def blurred(stride: int):
    """Band-limited on the pixel grid, then sampled: it may be shifted by fractions of a cell."""

    def model(x: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(x)
        keep = torch.fft.fftfreq(x.shape[-1], dtype=torch.float64).abs() < 0.5 / stride
        return torch.fft.ifft2(spectrum * keep * keep[:, None]).real[..., ::stride, ::stride]

    return model


def test_equivariance_by_whole_and_by_fractional_cells() -> None:
    shifts = [(1, 0), (0, -3), (5, 7)]
    assert_shift_equivariant(blurred(1), IMAGES, shifts)
    assert_shift_equivariant(blurred(4), IMAGES, shifts)


def test_negative_control_stride_fails_at_its_smallest_shift() -> None:
    def strided(x: Tensor) -> Tensor:
        return x[..., ::2, ::2]

    assert_shift_equivariant(strided, IMAGES, [(2, 4)])
    with pytest.raises(
        AssertionError,
        match=r"not equivariant: a circular shift by \(0, 1\) .* image 0 of 3, cut to 2 x 2 "
        r"pixels, by \d\.\d+e.\d+, allowed 1\.0e-09\. To reproduce: .*images\[0:1, :, :2, :2\]",
    ):
        assert_shift_equivariant(strided, IMAGES, [(3, 5), (0, 1), (2, 2)])
    with pytest.raises(AssertionError, match="expected maps"):
        assert_shift_equivariant(lambda x: x.mean(dim=(2, 3)), IMAGES, [(0, 1)])


def test_nan_is_no_invariance() -> None:
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(lambda x: torch.full((len(x), 1), torch.nan), IMAGES, [(0, 1)])


def test_complex_outputs_are_refused() -> None:
    """The real part of this one is invariant, the imaginary part is not."""

    def model(x: Tensor) -> Tensor:
        return torch.complex(x.mean(dim=(2, 3)), x[:, :, 0, 0])

    message = r"expected real numbers \(torch.view_as_real"
    for check in (
        lambda: assert_shift_invariant(model, IMAGES, [(0, 1)]),
        lambda: assert_shift_equivariant(lambda x: torch.complex(x, x), IMAGES, [(0, 1)]),
        lambda: assert_continuous(model, IMAGES),
        lambda: shift_sensitivity(model, IMAGES, (1,), kind="circular"),
    ):
        with pytest.raises(ValueError, match=f"model: {message}"):
            check()
    one = torch.complex(torch.ones(3), torch.ones(3))
    with pytest.raises(ValueError, match=f"expected: {message}"):
        assert_close_relative(one.real, one, bound=0.1)


def test_reconstruction_and_the_place_where_it_fails() -> None:
    assert_perfect_reconstruction(dwt2, idwt2, IMAGES)
    assert_perfect_reconstruction(dwt2, idwt2, IMAGES.bfloat16())

    def damaged(x: Tensor) -> Tensor:
        x = idwt2(x)
        x[1, 0, 3, 4] += 1
        return x

    with pytest.raises(AssertionError, match=r"image 1 of 3 .* worst pixel is \(0, 3, 4\)"):
        assert_perfect_reconstruction(dwt2, damaged, IMAGES)
    with pytest.raises(AssertionError, match=r"expected shape \(3, 2, 16, 16\)"):
        assert_perfect_reconstruction(dwt2, lambda c: c, IMAGES)


def test_the_constant_of_a_linear_map_holds_and_a_smaller_one_is_broken() -> None:
    kernel = noise(3, 2, 1, 1)
    constant = float(torch.linalg.matrix_norm(kernel[:, :, 0, 0], ord=2))

    def linear(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel)

    assert_lipschitz(linear, IMAGES, constant, iterations=30)
    _, slopes, _ = steepest_pair(linear, IMAGES, iterations=30)
    torch.testing.assert_close(slopes, torch.full_like(slopes, constant), rtol=1e-3, atol=0)
    with pytest.raises(AssertionError, match=r"not Lipschitz with constant .* To reproduce"):
        assert_lipschitz(linear, IMAGES, 0.98 * constant, iterations=30)


def test_superlinear_function_breaks_a_lipschitz_bound() -> None:
    small = IMAGES / IMAGES.flatten(1).norm(dim=1)[:, None, None, None]
    with pytest.raises(AssertionError, match="distance 1"):
        assert_lipschitz(
            lambda x: x.flatten(1).square(), small, 2.0 * float(small.abs().max()) + 0.1
        )


@pytest.mark.parametrize("constant", [0.0, float("inf"), float("nan")])
def test_a_constant_must_be_a_number(constant: float) -> None:
    with pytest.raises(ValueError, match="constant"):
        assert_lipschitz(lambda x: x, IMAGES, constant)


def test_assert_continuous_passes_smooth_models_and_finds_jumps() -> None:
    assert_continuous(blurred(2), IMAGES)

    def chooses(x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return flat.gather(1, flat.roll(3, 1).argmax(dim=1, keepdim=True))

    with pytest.raises(
        AssertionError, match=r"not continuous: at 0\.\d+ of the line path of image"
    ):
        assert_continuous(chooses, IMAGES, path="line")


@examples(daily=10)
@given(
    wavelet=wavelets(orthogonal=True), x=images(sizes(2, 16, multiple=2), sizes(2, 16, multiple=2))
)
def test_drawn_wavelets_are_what_was_asked_for(wavelet: str, x: Tensor) -> None:
    assert filter_bank(wavelet).orthogonal
    assert_perfect_reconstruction(
        lambda t: dwt2(t, wavelet), lambda c: idwt2(c, wavelet), x, bound=1e-10
    )


@examples(daily=5)
@given(model=small_backbones("test_*vit", in_chans=1, num_classes=3, img_size=32))
def test_drawn_backbones_run(model: torch.nn.Module) -> None:
    with torch.no_grad():
        assert model(noise(1, 1, 32, 32)).shape == (1, 3)


def test_message_has_the_smallest_failing_image() -> None:
    """Cut down to the smallest that fails; a model of one size keeps the whole one."""

    def corner(x: Tensor) -> Tensor:
        return x[..., 0, 0]

    def fixed(x: Tensor) -> Tensor:
        if x.shape[-1] != 16:
            raise RuntimeError("16 pixels only")
        return corner(x)

    for model, words, example in (
        (corner, r"cut to 1 x 2 pixels", "images[0:1, :, :1, :2]"),
        (fixed, r"image \d of 3 by", None),
    ):
        wide = IMAGES[..., :8, :] if model is corner else IMAGES
        with pytest.raises(AssertionError, match=words) as caught:
            assert_shift_invariant(model, wide, [(0, 3), (0, 1)])
        assert "a circular shift by (0, 1)" in str(caught.value)
        if example is not None:
            index = str(caught.value).split("images[")[1].split("]")[0]
            small = eval(f"wide[{index}]")
            assert not torch.allclose(corner(torch.roll(small, (0, 1), (-2, -1))), corner(small))


def test_a_hypothesis_failure_prints_the_line_that_makes_the_images() -> None:
    @settings(database=None, max_examples=50, print_blob=False)
    @given(x=images())
    def broken(x: Tensor) -> None:
        assert x.shape[-1] < 3

    with pytest.raises(AssertionError) as caught:
        broken()
    notes = "\n".join(caught.value.__notes__)
    line = next(line for line in notes.splitlines() if line.startswith("images = "))
    made = eval(line.removeprefix("images = "), {"torch": torch})
    assert made.shape == (2, 2, 1, 3)  # the smallest
    assert made.dtype == torch.float64


@examples(daily=20)
@given(wide=images(sizes(16, 32, multiple=8)), narrow=images(width=sizes(1, 2)))
def test_images_of_one_size_strategy_use_it_for_both_sides(wide: Tensor, narrow: Tensor) -> None:
    assert all(side in (16, 24, 32) for side in wide.shape[-2:])
    assert narrow.shape[-1] <= 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_networks_have_a_tolerance_for_each_dtype(dtype: torch.dtype) -> None:
    """A locked pyramid passes in each, a plain one (control) in none."""
    assert dtype in NETWORK_TOLERANCES
    torch.manual_seed(0)
    plain = wavevit.create_model("test_haar_pyramid", img_size=32, in_chans=2).to(dtype).eval()
    locked = wavevit.align(plain)
    x = noise(2, 2, 32, 32).to(dtype)
    assert_shift_invariant(locked, x, [(0, 1), (5, 7)])
    with pytest.raises(AssertionError, match="not invariant"):
        assert_shift_invariant(plain, x, [(0, 1), (5, 7)])
    with pytest.raises(ValueError, match=r"dtype: expected one of torch\.float64"):
        assert_shift_invariant(locked, x.int(), [(0, 1)])


def test_contracts_say_what_they_take() -> None:
    with pytest.raises(ValueError, match=r"source: expected a model, or a function .* 'test_vit'"):
        assert_backbone_contract("test_vit")
    task = create_task("classification", "test_vit", num_classes=2, img_size=32)
    with pytest.raises(ValueError, match=r"build: expected a function .* got Classification"):
        assert_task_contract(task)
    with pytest.raises(ValueError, match=r"build: expected a function .* got Identity"):
        assert_task_contract(lambda: torch.nn.Identity())
