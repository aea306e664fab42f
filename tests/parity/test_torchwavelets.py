"""torchwavelets as another opinion: decimated, undecimated and dual-tree values, and gradients."""

from __future__ import annotations

import pytest
import torch
import torchwavelets as theirs
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.tensors import noise
from wavevit.testing import assert_close_relative
from wavevit.wavelets import dtcwt2, filter_bank, swt, wavedec, wavedec2

MODES = ["zero", "symmetric", "reflect", "periodization", "periodic", "constant", "smooth"]


def gradient(parts: list[Tensor], x: Tensor) -> Tensor:
    """Of the sum of squares."""
    return torch.autograd.grad(sum(part.square().sum() for part in parts), x)[0]


@given(
    side=st.integers(30, 60),
    wavelet=st.sampled_from(["haar", "db3", "bior2.2", "sym5"]),
    mode=st.sampled_from(MODES),
)
def test_decimated_levels_and_gradients(side: int, wavelet: str, mode: str) -> None:
    level = 1 if filter_bank(wavelet).length > 8 else 2
    for decompose, library, sides in (
        (wavedec, theirs.dwt1d, (side,)),
        (wavedec2, theirs.dwt2d, (side, side + 1)),
    ):
        x = noise(1, 2, *sides).requires_grad_()
        approx, details = decompose(x, wavelet, mode, level)
        low, fine_to_coarse = library(x, wavelet, mode, level=level)
        assert_close_relative(low, approx, bound=1e-12)
        for ours, other in zip(reversed(details), fine_to_coarse, strict=True):
            assert_close_relative(other.reshape(ours.shape), ours, bound=1e-12)
        ours, other = gradient([approx, *details], x), gradient([low, *fine_to_coarse], x)
        assert_close_relative(other, ours, bound=1e-12)


@pytest.mark.parametrize("wavelet", ["haar", "db3"])
def test_undecimated_levels(wavelet: str) -> None:
    x = noise(1, 2, 24)
    levels = torch.stack([torch.stack(pair, dim=2) for pair in theirs.swt1d(x, wavelet, 2)], dim=2)
    assert_close_relative(levels, swt(x, wavelet, 2), bound=1e-12)


def test_dual_tree_bands() -> None:
    """Their taps have eight decimals."""
    x = noise(1, 1, 32, 48)
    approx, details = dtcwt2(x, 2)
    low, fine_to_coarse = theirs.dtcwt2d(x, J=2)
    assert_close_relative(low, approx, bound=1e-6)
    for ours, other in zip(reversed(details), fine_to_coarse, strict=True):
        assert_close_relative(torch.view_as_real(other).movedim(-1, 3), ours, bound=1e-6)
