"""Wavelet steps are counted by the taps of their wavelet, however they are evaluated."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wavevit.measure import cost
from wavevit.wavelets import (
    DTCWT2,
    DWT2,
    IDTCWT2,
    IDWT2,
    ISWT2,
    SWT2,
    Scattering2,
    WaveDec2,
    WaveRec2,
    dtcwt2,
    dwt,
    dwt2,
    dwt3,
    idtcwt2,
    idwt,
    idwt2,
    iswt2,
    iswt3,
    iwavepacket2,
    scattering2,
    swt,
    swt2,
    swt3,
    wavedec2,
    wavedec3,
    wavepacket2,
    waverec2,
)
from wavevit.wavelets.compat import DTCWTForward, ScatLayer, SWTForward

IMAGES = torch.zeros(4, 2, 16, 16)
PIXELS = 2 * 16 * 16

# Dual tree, per channel. Level 1 with taps of 5 and 7: two maps from each pixel along the rows,
# four from those two along the columns. Level 2 with 10 taps in each filter: each of the four
# trees is a decimated transform of a quarter of the 16 x 16 samples.
FIRST = PIXELS * (5 + 7) + 2 * PIXELS * (5 + 7)
SECOND = 4 * (2 * 10 * PIXELS // 4)


def scattered() -> int:
    """Two scales, order 2, with those filters.

    The image is transformed to two levels; then the magnitudes at 8 x 8 in six orientations to
    one level. Magnitudes at 4 x 4, of either order, are at the last scale already.
    """
    return FIRST + SECOND + 6 * FIRST // 4


class _Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (dwt2, 2 * 2 * PIXELS),
        (lambda x: dwt2(x, "db4"), 2 * 8 * PIXELS),
        (DWT2("db4"), 2 * 8 * PIXELS),
        (lambda x: idwt2(dwt2(x, "bior2.2"), "bior2.2"), 2 * 2 * 6 * PIXELS),
        # A level of a pyramid has a quarter of the pixels of the one before, of a packet as many.
        (lambda x: wavedec2(x, level=2).approx, 2 * 2 * (PIXELS + PIXELS // 4)),
        (lambda x: wavedec2(x, "db4", level=2).approx, 2 * 8 * (PIXELS + PIXELS // 4)),
        (WaveDec2("db4", level=2), 2 * 8 * (PIXELS + PIXELS // 4)),
        (lambda x: waverec2(wavedec2(x, level=2)), 2 * 2 * 2 * (PIXELS + PIXELS // 4)),
        (nn.Sequential(WaveDec2(level=2), WaveRec2()), 2 * 2 * 2 * (PIXELS + PIXELS // 4)),
        (nn.Sequential(DWT2("db4"), IDWT2("db4")), 2 * 2 * 8 * PIXELS),
        (lambda x: wavepacket2(x, "db4", level=2), 2 * 2 * 8 * PIXELS),
        (lambda x: iwavepacket2(wavepacket2(x, level=2)), 2 * 2 * 2 * 2 * PIXELS),
        (lambda x: wavepacket2(x.half(), level=2), 2 * 2 * 2 * PIXELS),
        (lambda x: iswt2(swt2(x, "db2", 3), "db2"), 2 * 3 * (2 + 4) * 4 * PIXELS),
        (nn.Sequential(SWT2("db2", 3), ISWT2("db2")), 2 * 3 * (2 + 4) * 4 * PIXELS),
        # Each level makes 2 maps from 1 along the rows and 4 from 2 along the columns.
        (lambda x: swt2(x, "db2", 3), 3 * (2 + 4) * 4 * PIXELS),
        (SWT2("db2", 3), 3 * (2 + 4) * 4 * PIXELS),
        (SWTForward(3, "db2", "reflect"), 3 * (2 + 4) * 4 * PIXELS),
        # Of signals one axis, of volumes three; a level of theirs leaves a half or an eighth.
        (lambda x: idwt(dwt(x.flatten(2), "db4"), "db4"), 2 * 8 * PIXELS),
        (lambda x: dwt3(x.unflatten(2, (4, 4)), "db4"), 3 * 8 * PIXELS),
        (
            lambda x: wavedec3(x.unflatten(2, (4, 4)), level=2).approx,
            3 * 2 * (PIXELS + PIXELS // 8),
        ),
        (lambda x: swt(x.flatten(2), "db2", 3), 3 * 2 * 4 * PIXELS),
        (
            lambda x: iswt3(swt3(x.unflatten(2, (4, 4)), "db2"), "db2"),
            2 * (2 + 4 + 8) * 4 * PIXELS,
        ),
        (lambda x: dtcwt2(x, 1), FIRST),
        (lambda x: dtcwt2(x, 2), FIRST + SECOND),
        (lambda x: idtcwt2(dtcwt2(x, 2)), 2 * (FIRST + SECOND)),
        (DTCWT2(2), FIRST + SECOND),
        (nn.Sequential(DTCWT2(2), IDTCWT2()), 2 * (FIRST + SECOND)),
        (DTCWTForward(J=2), FIRST + SECOND),
        # Zeros cost nothing: of 13, 19 and 10 taps 11, 17 and 6 are none.
        (
            lambda x: dtcwt2(x, 2, "near_sym_b", "qshift_06"),
            3 * (11 + 17) * PIXELS + 4 * (2 * 6 * PIXELS // 4),
        ),
        # An odd side is extended to 16 pixels first; 8 x 8 are the samples of level 3.
        (lambda x: dtcwt2(x[..., :15, :], 3), FIRST + SECOND + SECOND // 4),
        (scattering2, scattered()),
        (Scattering2(), scattered()),
        # First order: magnitudes at 8 x 8 are low-passed only, five taps along either axis.
        (lambda x: scattering2(x, 2, 1), FIRST + SECOND + 6 * (2 * 5 * PIXELS // 4)),
        (ScatLayer(), FIRST),
        # Approximations alone: 5 taps along rows and columns; then, of 10 taps, half as many sums
        # along the rows as samples, and half as many again along the columns.
        (DTCWTForward(J=2, skip_hps=True), 2 * 5 * PIXELS + 10 * PIXELS // 2 + 10 * PIXELS // 4),
    ],
)
def test_a_wavelet_step_costs_its_taps(function, macs: int) -> None:
    counted = cost(_Call(function), IMAGES)
    assert counted.macs_by_kind == {"matmul": 0, "wavelet": macs, "fft": 0}


def test_other_work_is_counted_beside_it() -> None:
    model = nn.Sequential(_Call(lambda x: dwt2(x, "db4").flatten(1, 2)), nn.Conv2d(8, 5, 1))
    kinds = cost(model, IMAGES).macs_by_kind
    assert kinds == {"matmul": 8 * 5 * 64, "wavelet": 2 * 8 * PIXELS, "fft": 0}
