"""Laws of the Haar transforms: reconstruction, Parseval, linearity, PyWavelets' values."""

from __future__ import annotations

import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, sizes
from wavevit.wavelets import (
    Pyramid,
    dwt2,
    dwt_max_level,
    idwt2,
    iwavepacket2,
    wavedec2,
    wavepacket2,
    waverec2,
)

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
EVEN = sizes(2, 18, multiple=2)


def energy(*parts: torch.Tensor) -> float:
    return float(sum(part.double().square().sum() for part in parts))


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_one_level_reconstructs_any_size(dtype: torch.dtype, data: st.DataObject) -> None:
    x = data.draw(images(dtype=dtype))
    back = idwt2(dwt2(x), output_size=(x.shape[-2], x.shape[-1]))
    assert back.dtype == dtype
    assert_close_relative(back, x)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_pyramid_and_packet_reconstruct_any_size(dtype: torch.dtype, data: st.DataObject) -> None:
    x = data.draw(images(dtype=dtype))
    size = (x.shape[-2], x.shape[-1])
    level = data.draw(st.integers(0, dwt_max_level(*size)))
    assert_close_relative(waverec2(wavedec2(x, level=level), output_size=size), x, depth=level)
    assert_close_relative(
        iwavepacket2(wavepacket2(x, level=level), output_size=size), x, depth=level
    )


@given(x=images(EVEN, EVEN))
def test_energy_is_kept(x: torch.Tensor) -> None:
    assert energy(dwt2(x)) == pytest.approx(energy(x), rel=1e-12)
    packed = wavepacket2(x, level=1)
    assert energy(packed) == pytest.approx(energy(x), rel=1e-12)


@given(x=images(sizes(8, 24, multiple=8), sizes(8, 24, multiple=8)))
def test_energy_is_kept_over_levels(x: torch.Tensor) -> None:
    pyramid = wavedec2(x, level=3)
    assert energy(pyramid.approx, *pyramid.details) == pytest.approx(energy(x), rel=1e-12)
    assert energy(wavepacket2(x, level=3)) == pytest.approx(energy(x), rel=1e-12)


def test_energy_law_can_fail() -> None:
    """Negative control: an odd side is extended, and the extension's energy is new."""
    x = torch.randn(1, 1, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert energy(dwt2(x)) != pytest.approx(energy(x), rel=1e-3)


@given(x=images(), a=st.floats(-3, 3), b=st.floats(-3, 3), seed=st.integers(0, 2**31))
def test_linear(x: torch.Tensor, a: float, b: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    torch.testing.assert_close(
        dwt2(a * x + b * y), a * dwt2(x) + b * dwt2(y), rtol=0, atol=1e-12 * (1 + abs(a) + abs(b))
    )


@given(x=images())
def test_one_level_equals_pywavelets(x: torch.Tensor) -> None:
    approx, details = pywt.dwt2(x.numpy(), "haar", "periodization")
    expected = torch.stack([torch.from_numpy(part) for part in (approx, *details)], dim=2)
    torch.testing.assert_close(dwt2(x), expected, rtol=0, atol=1e-12)


@given(x=images(sizes(1, 24), sizes(1, 24)))
def test_pyramid_equals_pywavelets(x: torch.Tensor) -> None:
    level = dwt_max_level(x.shape[-2], x.shape[-1])
    expected = pywt.wavedec2(x.numpy(), "haar", "periodization", level=level)
    pyramid = wavedec2(x)
    torch.testing.assert_close(pyramid.approx, torch.from_numpy(expected[0]), rtol=0, atol=1e-12)
    for ours, theirs in zip(pyramid.details, expected[1:], strict=True):
        stacked = torch.stack([torch.from_numpy(band) for band in theirs], dim=2)
        torch.testing.assert_close(ours, stacked, rtol=0, atol=1e-12)


@given(x=images(sizes(4, 12), sizes(4, 12), batch=1, channels=1))
def test_packet_equals_pywavelets(x: torch.Tensor) -> None:
    tree = pywt.WaveletPacket2D(x[0, 0].numpy(), "haar", "periodization", maxlevel=2)
    ours = wavepacket2(x, level=2)[0, 0]
    for band in range(16):
        path = "ahvd"[band >> 2] + "ahvd"[band & 3]
        expected = torch.from_numpy(tree[path].data)
        torch.testing.assert_close(ours[band], expected, rtol=0, atol=1e-12)


@given(x=images(), seed=st.integers(0, 2**31))
def test_inverse_is_the_transpose_on_even_sizes(x: torch.Tensor, seed: int) -> None:
    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    if x.numel() == 0:
        return
    coefficients = dwt2(x)
    y = torch.randn(
        coefficients.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype
    )
    assert float((coefficients * y).sum()) == pytest.approx(
        float((x * idwt2(y)).sum()), rel=1e-9, abs=1e-9
    )


@given(x=images(EVEN, EVEN), shift=st.tuples(st.integers(-4, 4), st.integers(-4, 4)))
def test_commutes_with_even_shifts(x: torch.Tensor, shift: tuple[int, int]) -> None:
    rows, columns = shift
    moved = dwt2(torch.roll(x, (2 * rows, 2 * columns), (-2, -1)))
    torch.testing.assert_close(moved, torch.roll(dwt2(x), shift, (-2, -1)), rtol=0, atol=1e-12)


def test_negative_control_odd_shifts_fail() -> None:
    """Negative control: a critically sampled transform is not shift-invariant."""
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before, after = dwt2(x), dwt2(torch.roll(x, 1, -1))
    rolls = [torch.roll(after, (i, j), (-2, -1)) for i in range(16) for j in range(16)]
    best = min(float((roll - before).norm() / before.norm()) for roll in rolls)
    assert best > 1.0


@pytest.mark.parametrize("function", [dwt2, lambda x: wavedec2(x).approx, wavepacket2])
@pytest.mark.parametrize("size", [(4, 4), (5, 3)])
def test_derivatives(function, size) -> None:
    x = torch.randn(1, 2, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, (x,))


@pytest.mark.parametrize("size", [(4, 4), (5, 3)])
def test_derivatives_of_the_inverses(size: tuple[int, int]) -> None:
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    bands = dwt2(x).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: idwt2(c, output_size=size), (bands,), check_forward_ad=True
    )
    packets = wavepacket2(x, level=1).requires_grad_()
    assert torch.autograd.gradcheck(iwavepacket2, (packets,), check_forward_ad=True)


def test_func_transforms_and_layouts() -> None:
    x = torch.randn(3, 2, 4, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(dwt2)(x), torch.stack([dwt2(part) for part in x]))
    image = x[0]
    tangent = torch.randn_like(image)
    _, pushed = torch.func.jvp(dwt2, (image,), (tangent,))
    torch.testing.assert_close(pushed, dwt2(tangent))
    last = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(dwt2(last), dwt2(image))
    torch.testing.assert_close(dwt2(x.transpose(-1, -2)[0]), dwt2(image.transpose(-1, -2)))


def test_half_precision_does_not_overflow() -> None:
    x = torch.full((1, 1, 4, 4), 30_000.0, dtype=torch.float16)
    assert torch.isfinite(dwt2(x)).all()


def test_waverec2_takes_a_plain_tuple() -> None:
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    approx, details = wavedec2(x, level=2)
    torch.testing.assert_close(waverec2(Pyramid(approx, details), output_size=(6, 6)), x)
    torch.testing.assert_close(waverec2((approx, details), output_size=(6, 6)), x)
