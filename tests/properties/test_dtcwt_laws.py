"""Laws of the dual tree: reconstruction, energy, derivatives, shift, pytorch-wavelets' values."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tensors import noise
from wavevit.data import load_photograph
from wavevit.data.photographs import NAMES
from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import (
    BIORTS,
    DTCWT_MODES,
    QSHIFTS,
    DualTreePyramid,
    dtcwt2,
    dtcwt_max_level,
    dwt2,
    idtcwt2,
    level_one_frame_bounds,
)
from wavevit.wavelets._engine import dtcwt_levels as levels

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    from pytorch_wavelets import DTCWTForward

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SIDES = sizes(1, 40)
BANKS = st.tuples(st.sampled_from(BIORTS), st.sampled_from(QSHIFTS))


def compiling(test):
    """Dynamo and Inductor themselves use what torch deprecates."""
    for message in ("should not be instantiated", "`torch.jit.script_method` is deprecated"):
        test = pytest.mark.filterwarnings(f"ignore:.*{message}:DeprecationWarning")(test)
    return test


def energy(pyramid: DualTreePyramid) -> float:
    return float(sum(part.square().sum() for part in (pyramid.approx, *pyramid.details)))


def stacked(x: torch.Tensor) -> torch.Tensor:
    """Two levels as one tensor, for checkers that want one output."""
    pyramid = dtcwt2(x, level=2)
    return torch.cat([part.flatten() for part in (pyramid.approx, *pyramid.details)])


@pytest.mark.parametrize("mode", DTCWT_MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_reconstructs_any_size(dtype: torch.dtype, mode: str, data: st.DataObject) -> None:
    x = data.draw(images(SIDES, SIDES, batch=1, dtype=dtype))
    biort, qshift = data.draw(BANKS)
    size = (x.shape[-2], x.shape[-1])
    level = data.draw(st.integers(1, dtcwt_max_level(*size)))
    pyramid = dtcwt2(x, level, biort, qshift, mode)
    assert {part.dtype for part in (pyramid.approx, *pyramid.details)} == {dtype}
    for index, band in enumerate(reversed(pyramid.details), start=1):
        assert band.shape[-2:] == tuple(-(-side // 2**index) for side in size)
    back = idtcwt2(pyramid, biort, qshift, mode, output_size=size)
    assert_close_relative(back, x, depth=level)


@given(x=images(SIDES, SIDES, batch=1), banks=BANKS, level=st.integers(1, 4))
def test_equals_pytorch_wavelets(x: torch.Tensor, banks: tuple[str, str], level: int) -> None:
    level = min(level, dtcwt_max_level(x.shape[-2], x.shape[-1]))
    torch.set_default_dtype(torch.float64)  # theirs builds its filters in the default dtype
    try:
        theirs = DTCWTForward(J=level, biort=banks[0], qshift=banks[1])
    finally:
        torch.set_default_dtype(torch.float32)
    low, highs = theirs(x)
    ours = dtcwt2(x, level, *banks)
    # The taps are equal to 1e-8; with equal taps, so are the transforms to 1e-12
    # (tests/parity/test_compat_dtcwt.py).
    bound = 1e-12 if level == 1 or banks[1] == "qshift_06" else 1e-7
    assert_close_relative(ours.approx, low, bound=bound)
    scale = float(x.norm())
    for band, high in zip(reversed(ours.details), highs, strict=True):
        assert float((band.movedim(3, -1) - high).norm()) <= bound * scale


@given(x=images(SIDES, SIDES), a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_linear(x: torch.Tensor, a: float, b: float) -> None:
    level = dtcwt_max_level(x.shape[-2], x.shape[-1])
    y = x.flip(0)
    mixed = dtcwt2(a * x + b * y, level)
    for ours, first, second in zip(
        (mixed.approx, *mixed.details),
        (dtcwt2(x, level).approx, *dtcwt2(x, level).details),
        (dtcwt2(y, level).approx, *dtcwt2(y, level).details),
        strict=True,
    ):
        torch.testing.assert_close(ours, a * first + b * second, rtol=0, atol=1e-11)


@pytest.mark.parametrize("mode", DTCWT_MODES)
@given(
    x=images(sizes(8, 40, multiple=8), sizes(8, 40, multiple=8)),
    banks=BANKS,
    content=st.sampled_from(["noise", "smooth", "stripes"]),
)
def test_energy_stays_within_the_frame_bounds(
    mode: str, x: torch.Tensor, banks: tuple[str, str], content: str
) -> None:
    if content == "smooth":
        x = x.cumsum(-1).cumsum(-2)
    elif content == "stripes":  # close to a pure frequency, where the bounds are reached
        x = torch.cos(torch.arange(x.shape[-1]) * x[0, 0, 0, 0]).expand_as(x)
    lower, upper = level_one_frame_bounds(banks[0])
    gain = energy(dtcwt2(x, 3, *banks, mode)) / float(x.square().sum())
    assert lower * (1 - 1e-9) <= gain <= upper * (1 + 1e-9)


def test_near_symmetric_filters_are_nearly_tight() -> None:
    for name in ("near_sym_a", "near_sym_b"):
        lower, upper = level_one_frame_bounds(name)
        assert 0.90 < lower < upper < 1.11
    assert level_one_frame_bounds("legall")[1] > 1.8  # negative control: 5/3 is far from tight


@pytest.mark.parametrize("mode", DTCWT_MODES)
@given(value=st.floats(-5, 5, allow_subnormal=False), height=SIDES, width=SIDES, banks=BANKS)
def test_constants_live_in_the_approximation(
    mode: str, value: float, height: int, width: int, banks: tuple[str, str]
) -> None:
    x = torch.full((1, 1, height, width), value, dtype=torch.float64)
    pyramid = dtcwt2(x, dtcwt_max_level(height, width), *banks, mode)
    for level, band in enumerate(reversed(pyramid.details), 1):
        # The published Q-shift taps sum to zero at ω = π to about 1e-5 (18 taps) only.
        tolerance = 1e-13 if "qshift_06" in banks else 2e-5
        assert float(band.abs().max()) <= tolerance * max(abs(value), 1e-3) * 2 ** (level - 1)
    exact = dtcwt2(x, 1, banks[0], mode=mode)
    assert float(exact.details[0].abs().max()) <= 1e-14 * max(abs(value), 1)
    assert float((exact.approx - value).abs().max()) <= 1e-14 * max(abs(value), 1)


@given(x=images(sizes(16, 32, multiple=16), sizes(16, 32, multiple=16)), banks=BANKS)
def test_periodic_mode_commutes_with_coarse_shifts(x: torch.Tensor, banks: tuple[str, str]) -> None:
    before = dtcwt2(x, 2, *banks, "periodic")
    after = dtcwt2(torch.roll(x, (4, -8), (-2, -1)), 2, *banks, "periodic")
    coarse, fine = before.details
    moved = (torch.roll(coarse, (1, -2), (-2, -1)), torch.roll(fine, (2, -4), (-2, -1)))
    torch.testing.assert_close(after.details, moved, rtol=0, atol=1e-12)
    rolled = torch.roll(before.approx, (2, -4), (-2, -1))
    torch.testing.assert_close(after.approx, rolled, rtol=0, atol=1e-12)


def relative_motion(before: torch.Tensor, after: torch.Tensor) -> float:
    return float((after - before).norm() / before.norm())


@pytest.mark.parametrize("level", [1, 2, 3])
def test_magnitudes_move_less_than_haar(level: int) -> None:
    """On every bundled photograph, under a circular shift by one pixel along either axis.

    Compared with the magnitudes of Haar details at the same level. The factors hold for the worst
    photograph, with margin. Level 1 gains least: its filters are not half a sample apart but one.
    """
    factors = {1: 1.05, 2: 1.75, 3: 1.85}  # medians over the photographs: 1.9, 2.5, 3.0
    for name in NAMES:
        image = load_photograph(name).double()
        x = image[: image.shape[0] // 8 * 8, : image.shape[1] // 8 * 8][None, None]
        for axis in (-2, -1):
            dual, haar = [], []
            for picture in (x, torch.roll(x, 1, axis)):
                dual.append(dtcwt2(picture, level, mode="periodic").details[0].norm(dim=3))
                low = picture
                for _ in range(level):
                    low, bands = (c := dwt2(low))[:, :, 0], c[:, :, 1:]
                haar.append(bands.abs())
            assert factors[level] * relative_motion(*dual) < relative_motion(*haar), name


@pytest.mark.parametrize("size", [(4, 4), (5, 3)])
def test_derivatives(size: tuple[int, int]) -> None:
    x = noise(1, 1, *size).requires_grad_()
    assert torch.autograd.gradcheck(stacked, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(stacked, (x,))
    pyramid = dtcwt2(x.detach(), 2)
    parts = [part.requires_grad_() for part in (pyramid.approx, *pyramid.details)]

    def inverse(approx: torch.Tensor, *details: torch.Tensor) -> torch.Tensor:
        return idtcwt2((approx, details), output_size=size)

    assert torch.autograd.gradcheck(inverse, parts, check_forward_ad=True)


@pytest.mark.parametrize("mode", [*DTCWT_MODES, "zero"])
@given(
    x=images(sizes(4, 24, multiple=4), sizes(4, 24, multiple=4), batch=1),
    name=st.sampled_from(list(levels.LEVELS)),
)
def test_both_ways_of_writing_a_level_agree(mode: str, x: torch.Tensor, name: str) -> None:
    dense = levels._analyse_dense(x, name, mode)
    torch.testing.assert_close(levels._analyse_shifted(x, name, mode), dense, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        levels._synthesise_shifted(*dense, name, mode),
        levels._synthesise_dense(*dense, name, mode),
        rtol=0,
        atol=1e-12,
    )
    # The synthesis is the adjoint: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩.
    other = [torch.randn_like(part) for part in dense]
    left = sum((a * b).sum() for a, b in zip(dense, other, strict=True))
    right = (x * levels._synthesise_dense(*other, name, mode)).sum()
    torch.testing.assert_close(left, right, rtol=0, atol=1e-9)


def test_func_transforms_and_layouts() -> None:
    x = noise(3, 2, 2, 8, 12)
    mapped = torch.func.vmap(stacked)(x)
    torch.testing.assert_close(mapped, torch.stack([stacked(part) for part in x]))
    image, tangent = x[0], x[1]
    _, pushed = torch.func.jvp(stacked, (image,), (tangent,))
    torch.testing.assert_close(pushed, stacked(tangent))
    last = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(stacked(last), stacked(image))
    turned = image.transpose(-1, -2)
    torch.testing.assert_close(stacked(turned), stacked(turned.contiguous()))


def test_autocast_does_not_round_the_transform() -> None:
    x = noise(1, 1, 16, 16).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = dtcwt2(x, 2)
        assert_close_relative(idtcwt2(inside), x, depth=2)
    torch.testing.assert_close(inside.details, dtcwt2(x, 2).details)


# The shortest filters, because Inductor's time grows with the taps.
SHORT = ("legall", "qshift_06")


@compiling
def test_compiles_with_its_own_backward() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        pyramid = dtcwt2(x, 2, *SHORT)
        squares = sum(band.square().sum() for band in pyramid.details)
        return (idtcwt2(pyramid, *SHORT) * x).sum() + squares

    eager, compiled = noise(1, 1, 8, 12).requires_grad_(), noise(1, 1, 8, 12).requires_grad_()
    loss(eager).backward()
    torch.compile(loss, fullgraph=True, backend="aot_eager")(compiled).backward()
    torch.testing.assert_close(compiled.grad, eager.grad)


@compiling
def test_compiles_to_machine_code() -> None:
    x = noise(1, 1, 8, 12)
    compiled = torch.compile(lambda image: dtcwt2(image, 1, *SHORT), fullgraph=True)
    torch.testing.assert_close(compiled(x), dtcwt2(x, 1, *SHORT))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dtcwt2(torch.zeros(1, 1, 8, 8, dtype=torch.int32)), "x: expected a floating"),
        (lambda: dtcwt2(torch.zeros(1, 8, 8)), "x: expected 4 dimensions"),
        (lambda: dtcwt2(torch.zeros(1, 1, 8, 8), 4), "level: expected at most 3 for a side of 8"),
        (lambda: dtcwt2(torch.zeros(1, 1, 8, 8), 0), "level: expected an integer of at least 1"),
        (lambda: dtcwt2(torch.zeros(1, 1, 8, 8), biort="near_sym"), "nearest: near_sym"),
        (lambda: dtcwt2(torch.zeros(1, 1, 8, 8), qshift="qshift_e"), "qshift: expected one of"),
        (lambda: dtcwt2(torch.zeros(1, 1, 8, 8), mode="zero"), "mode: expected one of"),
        (
            lambda: idtcwt2((torch.zeros(1, 1, 4, 4), [torch.zeros(1, 1, 6, 2, 4, 4)])),
            r"pyramid.details\[0\]: expected 2 or 1 on axis -2",
        ),
        (
            lambda: idtcwt2((torch.zeros(1, 1, 4, 4), [torch.zeros(1, 1, 6, 2, 2)])),
            r"pyramid.details\[0\]: expected a tensor of shape",
        ),
        (lambda: idtcwt2((torch.zeros(1, 1, 4, 4), [])), "pyramid.details: expected at least one"),
        (
            lambda: idtcwt2(dtcwt2(torch.zeros(1, 1, 8, 8)), output_size=(6, 8)),
            "output_size: expected sides equal to or one below",
        ),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
