"""Transforms as modules: equal to the functions, buffers that follow, a start on meta."""

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
def test_filters_are_buffers_outside_the_state(module) -> None:
    made = module("db3")
    assert not made.state_dict()
    assert not list(made.parameters())
    assert [name for name, _ in made.named_buffers()] == ["taps"]
    assert made.double().taps.dtype == torch.float64
    assert "db3" in repr(made)
    on_meta = module("db3", device="meta")
    with torch.device("meta"):
        assert module("db3").taps.is_meta
    finished = on_meta.to_empty(device="cpu")
    finished.reset_parameters()
    torch.testing.assert_close(finished.taps, module("db3").taps)


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
