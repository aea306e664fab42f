"""Transforms as modules: equal to the functions, and no tensor that a move could hurt."""

from __future__ import annotations

import pytest
import torch

from wavevit.testing import assert_close_relative
from wavevit.wavelets import (
    DWT2,
    IDWT2,
    ISWT2,
    SWT2,
    WaveDec2,
    WaveRec2,
    dwt2,
    idwt2,
    iswt2,
    iwavepacket2,
    swt2,
    wavedec2,
    waverec2,
)

WAVELETS = ["haar", "db3", "bior2.2"]


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [1, 8])  # convolution, dense product
def test_equal_to_the_functions(wavelet: str, dtype: torch.dtype, channels: int) -> None:
    x = torch.randn(1, channels, 21, 24).to(dtype)
    size = (21, 24)
    for cast in (torch.float32, dtype):  # a cast module does not round its filters
        bands = DWT2(wavelet, "reflect").to(cast)(x)
        assert_close_relative(bands, dwt2(x, wavelet, "reflect"))
        back = IDWT2(wavelet, "reflect").to(cast)(bands, output_size=size)
        assert_close_relative(back, idwt2(bands, wavelet, "reflect", output_size=size))
        pyramid = WaveDec2(wavelet, "symmetric", 2).to(cast)(x)
        for ours, expected in zip(
            (pyramid.approx, *pyramid.details),
            (lambda p: (p.approx, *p.details))(wavedec2(x, wavelet, "symmetric", 2)),
            strict=True,
        ):
            assert_close_relative(ours, expected)
        back = WaveRec2(wavelet, "symmetric").to(cast)(pyramid, output_size=size)
        assert_close_relative(back, waverec2(pyramid, wavelet, "symmetric", output_size=size))
        levels = SWT2(wavelet, 2).to(cast)(x)
        assert_close_relative(levels, swt2(x, wavelet, 2))
        assert_close_relative(ISWT2(wavelet).to(cast)(levels), iswt2(levels, wavelet))


@pytest.mark.parametrize("module", [DWT2, IDWT2, WaveDec2, WaveRec2, SWT2, ISWT2])
def test_filters_are_no_tensors_of_a_module(module) -> None:
    made = module("db3")
    assert not made.state_dict()
    assert not list(made.parameters())
    assert not list(made.buffers())
    assert "db3" in repr(made)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda w: waverec2((zeros(1, 1, 4, 4), (zeros(2, 1, 3, 4, 4),)), w),
            r"pyramid.details\[0\]: expected the approximation's batch and channels \(1, 1\)",
        ),
        (
            lambda w: WaveRec2(w)((zeros(1, 2, 4, 4), (zeros(1, 1, 3, 4, 4),))),
            r"pyramid.details\[0\]: expected the approximation's batch and channels \(1, 2\)",
        ),
        (
            lambda w: waverec2((zeros(1, 1, 4, 4), (zeros(1, 1, 3, 6, 6),)), w),
            r"pyramid.details\[0\]: expected details of \(4, 4\) or one below",
        ),
        (lambda w: iwavepacket2(zeros(1, 1, 5, 4, 4), w), "packets: expected shape"),
        (lambda w: iwavepacket2(zeros(1, 1, 16, 4, 4).int(), w), "packets: expected a floating"),
        (lambda w: iwavepacket2(zeros(1, 1, 16, 0, 4), w), "packets: expected at least 1"),
        (lambda w: iswt2(zeros(1, 1, 0, 4, 4, 4), w), "coefficients: expected a tensor of shape"),
        (lambda w: iswt2(zeros(1, 1, 1, 4, 0, 4), w), "coefficients: expected a tensor of shape"),
        (lambda w: ISWT2(w)(zeros(1, 1, 1, 3, 4, 4)), "coefficients: expected a tensor of shape"),
        (lambda w: ISWT2(w)(zeros(1, 1, 1, 4, 4, 4).int()), "coefficients: expected a floating"),
    ],
)
def test_inverses_refuse_what_does_not_fit(wavelet: str, call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(wavelet)


def test_modules_refuse_what_the_functions_refuse() -> None:
    with pytest.raises(ValueError, match="mode: expected one of"):
        DWT2("db3", "mirror")
    with pytest.raises(ValueError, match=r"wavelet: .*nearest"):
        SWT2("db333")
    with pytest.raises(ValueError, match="x: expected 4 dimensions"):
        DWT2("db3")(torch.zeros(4, 4))
    with pytest.raises(ValueError, match="x: expected sides of at least 2"):
        DWT2("db3", "reflect")(torch.zeros(1, 1, 1, 4))
    with pytest.raises(ValueError, match="coefficients: expected a tensor of shape"):
        ISWT2("db3")(torch.zeros(1, 1, 4, 4))


def test_inverse_with_a_forgotten_wavelet_says_what_it_needs() -> None:
    pyramid = wavedec2(torch.zeros(1, 1, 40, 40), "db4", "symmetric", level=2)
    with pytest.raises(ValueError, match="needs the wavelet and the mode of the decomposition"):
        waverec2(pyramid)
