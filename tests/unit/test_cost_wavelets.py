"""Wavelet steps are counted by the taps of their wavelet, however they are evaluated."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wavevit.measure import cost
from wavevit.wavelets import DWT2, SWT2, dwt2, idwt2, swt2

IMAGES = torch.zeros(4, 2, 16, 16)
PIXELS = 2 * 16 * 16


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
        # Each level makes 2 maps from 1 along the rows and 4 from 2 along the columns.
        (lambda x: swt2(x, "db2", 3), 3 * (2 + 4) * 4 * PIXELS),
        (SWT2("db2", 3), 3 * (2 + 4) * 4 * PIXELS),
    ],
)
def test_a_wavelet_step_costs_its_taps(function, macs: int) -> None:
    counted = cost(_Call(function), IMAGES)
    assert counted.macs_by_kind == {"matmul": 0, "wavelet": macs, "fft": 0}


def test_other_work_is_counted_beside_it() -> None:
    model = nn.Sequential(_Call(lambda x: dwt2(x, "db4").flatten(1, 2)), nn.Conv2d(8, 5, 1))
    kinds = cost(model, IMAGES).macs_by_kind
    assert kinds == {"matmul": 8 * 5 * 64, "wavelet": 2 * 8 * PIXELS, "fft": 0}
