"""Laws of the undecimated transform: PyWavelets' values, every circular shift, the inverse."""

from __future__ import annotations

import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.testing import assert_close_relative
from wavevit.testing.strategies import images, shifts, sizes
from wavevit.wavelets import filter_bank, iswt2, swt2

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
WAVELETS = ["haar", "db2", "sym4", "bior2.2", "rbio3.1", "coif2"]
LEVELS = st.integers(1, 3)


@pytest.mark.parametrize("wavelet", WAVELETS)
@given(x=images(sizes(8, 24, multiple=8), sizes(8, 24, multiple=8)), level=LEVELS)
def test_equals_pywavelets(wavelet: str, x: torch.Tensor, level: int) -> None:
    ours = swt2(x, wavelet, level)
    theirs = pywt.swt2(x.numpy(), wavelet, level, axes=(-2, -1))
    for index, (approx, details) in enumerate(theirs):
        expected = torch.stack([torch.from_numpy(part) for part in (approx, *details)], dim=2)
        torch.testing.assert_close(ours[:, :, index], expected, rtol=0, atol=1e-11)
    mixed = ours.flip(3)  # no image's transform
    parts = [
        (mixed[:, :, i, 0].numpy(), tuple(band.numpy() for band in mixed[:, :, i, 1:].unbind(2)))
        for i in range(level)
    ]
    expected = torch.from_numpy(pywt.iswt2(parts, wavelet, axes=(-2, -1)))
    torch.testing.assert_close(iswt2(mixed, wavelet), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("wavelet", WAVELETS)
@given(x=images(), shift=shifts(), level=LEVELS)
def test_commutes_with_every_circular_shift(wavelet: str, x, shift, level: int) -> None:
    moved = swt2(torch.roll(x, shift, (-2, -1)), wavelet, level)
    expected = torch.roll(swt2(x, wavelet, level), shift, (-2, -1))
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), wavelet=st.sampled_from(WAVELETS), level=LEVELS)
def test_inverts_at_any_size(dtype: torch.dtype, data, wavelet: str, level: int) -> None:
    x = data.draw(images(dtype=dtype))
    back = iswt2(swt2(x, wavelet, level), wavelet)
    assert back.dtype == dtype
    bound = 1e-11 + 8 * filter_bank(wavelet).reconstruction_error
    assert_close_relative(back, x, depth=4 * level, bound=bound if dtype == DTYPES[0] else None)


@pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
def test_derivatives(wavelet: str) -> None:
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    forward = lambda x: swt2(x, wavelet, 2)  # noqa: E731
    inverse = lambda c: iswt2(c, wavelet)  # noqa: E731
    c = forward(x).detach().requires_grad_()
    for function, argument in ((forward, x), (inverse, c)):
        assert torch.autograd.gradcheck(
            function, (argument,), check_forward_ad=True, fast_mode=True
        )
        assert torch.autograd.gradgradcheck(function, (argument,), fast_mode=True)
    batch = torch.randn(2, 1, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(forward)(batch)[1], forward(batch[1]))


@pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
def test_layouts_jvp_and_autocast(wavelet: str) -> None:
    x, tangent = torch.randn(2, 2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    expected = swt2(x, wavelet, 2)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(swt2(last, wavelet, 2), expected)
    turned = x.transpose(-1, -2)
    torch.testing.assert_close(swt2(turned, wavelet, 2), swt2(turned.contiguous(), wavelet, 2))
    _, pushed = torch.func.jvp(lambda x: swt2(x, wavelet, 2), (x,), (tangent,))
    torch.testing.assert_close(pushed, swt2(tangent, wavelet, 2))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(swt2(x, wavelet, 2), expected)


@given(x=images(), a=st.floats(-3, 3), level=LEVELS, wavelet=st.sampled_from(WAVELETS))
def test_linear(x: torch.Tensor, a: float, level: int, wavelet: str) -> None:
    y = x.flip(-1).roll(1, -2)
    separate = a * swt2(x, wavelet, level) + swt2(y, wavelet, level)
    torch.testing.assert_close(swt2(a * x + y, wavelet, level), separate, rtol=0, atol=1e-11)


def test_refuses_what_does_not_fit() -> None:
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="level: expected an integer of at least 1, got 0"):
        swt2(x, level=0)
    with pytest.raises(ValueError, match="x: expected 4 dimensions"):
        swt2(x[0])
    with pytest.raises(ValueError, match=r"coefficients: expected a tensor of shape \(B, C, lev"):
        iswt2(x)
    with pytest.raises(ValueError, match="coefficients: expected a floating dtype"):
        iswt2(torch.zeros(1, 1, 1, 4, 4, 4, dtype=torch.int64))
