"""Laws of scattering: what each path is, stability, invariances, derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from wavevit.data import load_photograph
from wavevit.data.photographs import NAMES
from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import (
    BIORTS,
    QSHIFTS,
    dtcwt2,
    dtcwt_max_level,
    level_one_frame_bounds,
    scattering2,
    scattering_paths,
    smooth_magnitude,
)

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
BANKS = st.tuples(st.sampled_from(BIORTS), st.sampled_from(QSHIFTS))


def by_path(x: torch.Tensor, scales: int, order: int, **options) -> torch.Tensor:
    """(B, C, paths, h, w)."""
    return scattering2(x, scales, order, **options).unflatten(1, (x.shape[1], -1))


@given(x=images(sizes(1, 33), sizes(1, 33)), order=st.sampled_from([1, 2]), data=st.data())
def test_any_size_gives_every_named_path(x: torch.Tensor, order: int, data: st.DataObject) -> None:
    height, width = x.shape[-2:]
    scales = data.draw(st.integers(1, min(3, dtcwt_max_level(height, width))))
    paths = scattering_paths(scales, order)
    assert len(set(paths)) == len(paths)
    coefficients = scattering2(x, scales, order)
    side = 2**scales
    assert coefficients.shape == (2, 2 * len(paths), -(-height // side), -(-width // side))


@given(x=images(sizes(4, 32, multiple=4), sizes(4, 32, multiple=4)), banks=BANKS)
def test_first_order_is_the_low_passed_magnitude(x: torch.Tensor, banks: tuple[str, str]) -> None:
    biort, qshift = banks
    first = by_path(x, 2, 1, biort=biort, qshift=qshift)
    pyramid = dtcwt2(x, 2, biort, qshift)
    torch.testing.assert_close(first[:, :, 0], F.avg_pool2d(pyramid.approx, 2))
    coarse, fine = (smooth_magnitude(band) for band in pyramid.details)
    torch.testing.assert_close(first[:, :, 7:], coarse)
    passed = F.avg_pool2d(dtcwt2(fine.flatten(1, 2), 1, biort, qshift).approx, 2)
    torch.testing.assert_close(first[:, :, 1:7], passed.unflatten(1, (-1, 6)))


@given(x=images(sizes(8, 24, multiple=8), sizes(8, 24, multiple=8), batch=1))
def test_second_order_contains_first_and_its_own_magnitudes(x: torch.Tensor) -> None:
    first, second = by_path(x, 2, 1), by_path(x, 2, 2)
    torch.testing.assert_close(second[:, :, :13], first)
    fine = smooth_magnitude(dtcwt2(x, 2).details[1])  # (B, C, 6, h, w)
    path = scattering_paths(2, 2).index("1:45°>2:105°")
    again = smooth_magnitude(dtcwt2(fine[:, :, 1], 1).details[0])
    torch.testing.assert_close(second[:, :, path], again[:, :, 3])


@given(x=images(sizes(8, 24), sizes(8, 24)), value=st.floats(-3, 3))
def test_only_the_low_pass_sees_a_constant(x: torch.Tensor, value: float) -> None:
    # qshift_06 is exact at ω = π; the others are to about 1e-5, as published.
    before, after = (by_path(image, 3, 2, qshift="qshift_06") for image in (x, x + value))
    torch.testing.assert_close(after[:, :, 1:], before[:, :, 1:], rtol=0, atol=1e-10)
    constant = by_path(torch.full_like(x, value), 3, 2, qshift="qshift_06")
    assert float(constant[:, :, 1:].abs().max()) <= 1e-10
    low = torch.full_like(constant[:, :, 0], 2**2 * value)
    torch.testing.assert_close(constant[:, :, 0], low)


@given(
    x=images(sizes(8, 32, multiple=8), sizes(8, 32, multiple=8), batch=1),
    order=st.sampled_from([1, 2]),
    scales=st.integers(1, 3),
    banks=BANKS,
    size=st.floats(1e-3, 10),
    seed=st.integers(0, 2**31),
)
def test_lipschitz(
    x: torch.Tensor, order: int, scales: int, banks: tuple[str, str], size: float, seed: int
) -> None:
    """Each path passes at most order + 1 transforms of gain B and maps that do not expand."""
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    moved = scattering2(x + size * step, scales, order, *banks) - scattering2(
        x, scales, order, *banks
    )
    _, upper = level_one_frame_bounds(banks[0])
    bound = upper ** ((order + 1) / 2) * float((size * step).norm())
    assert float(moved.norm()) <= bound * (1 + 1e-9)


@given(x=images(sizes(2, 16), sizes(2, 16)), bias=st.floats(1e-3, 1))
def test_smooth_magnitude_does_not_expand(x: torch.Tensor, bias: float) -> None:
    details = dtcwt2(x, 1).details[0]
    first, second = smooth_magnitude(details, bias)
    assert float(smooth_magnitude(details, bias).min()) >= 0
    distance = (details[0] - details[1]).norm(dim=2)
    assert bool(((first - second).abs() <= distance + 1e-12).all())


def test_moves_less_than_raw_coefficients() -> None:
    """Circular shifts by one pixel along either axis on every photograph; first order, and all
    magnitudes together.

    The second order by itself can move more than raw coefficients do on a picture that has next to
    no second-order energy ("cell"), so nothing is claimed of it alone.
    """
    bounds = ((slice(1, 7), 0.62), (slice(7, 13), 0.48), (slice(1, 49), 0.62))
    for name in NAMES:
        image = load_photograph(name).double()
        x = image[: image.shape[0] // 8 * 8, : image.shape[1] // 8 * 8][None, None]
        pictures = (x, torch.roll(x, 1, -1), torch.roll(x, 1, -2))
        raw, *raw_moved = (dtcwt2(p, 2, mode="periodic").details[0] for p in pictures)
        still, *all_moved = (by_path(p, 2, 2, mode="periodic") for p in pictures)
        for other, scattered in zip(raw_moved, all_moved, strict=True):
            motion = float((other - raw).norm() / raw.norm())
            for paths, bound in bounds:
                before, after = still[:, :, paths], scattered[:, :, paths]
                moved = float((after - before).norm() / before.norm())
                assert moved < bound * motion, (name, paths, moved / motion)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_and_layouts(dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(0)).to(dtype)
    coefficients = scattering2(x)
    assert coefficients.dtype == dtype
    # Computed in float32 and rounded once, from the same rounded image.
    assert_close_relative(coefficients, scattering2(x.double()))
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(scattering2(last), coefficients)


def test_derivatives_and_func_transforms() -> None:
    x = torch.randn(2, 1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    image = x[0].requires_grad_()
    assert torch.autograd.gradcheck(scattering2, (image,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda v: scattering2(v, 1, 1), (image,))
    flat = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(scattering2, (flat,))  # the tip of the magnitude is smooth
    torch.testing.assert_close(
        torch.func.vmap(scattering2)(x), torch.stack([scattering2(part) for part in x])
    )


# Dynamo and Inductor themselves use what torch deprecates.
@pytest.mark.filterwarnings("ignore:.*`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles() -> None:
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def first(images: torch.Tensor) -> torch.Tensor:
        return scattering2(images, 1, 1)

    compiled = torch.compile(first, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), first(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: scattering2(x, scales=4), "scales: expected at most 3 for a side of 8"),
        (lambda x: scattering2(x, order=3), "order: expected one of '1', '2'"),
        (lambda x: scattering2(x, bias=0.0), "bias: expected a number above 0"),
        (lambda x: scattering2(x.int()), "x: expected a floating dtype"),
        (lambda x: scattering2(x, mode="zero"), "mode: expected one of"),
        (lambda x: scattering_paths(0), "scales: expected an integer of at least 1"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(1, 1, 8, 8))
