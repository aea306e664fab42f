"""Haar of channels-last maps: the kernels' values and derivatives, and the layout stays."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.examples import examples
from wavevit.wavelets import dwt2, idwt2
from wavevit.wavelets._engine.haar_channels_last import is_channels_last

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}


def tokens(seed: int, grid: tuple[int, int], dtype: torch.dtype, dim: int = 8) -> Tensor:
    """A map as a backbone makes it from a sequence (B, h·w, D)."""
    sequence = torch.randn(
        2, grid[0] * grid[1], dim, generator=torch.Generator().manual_seed(seed), dtype=dtype
    )
    return sequence.transpose(1, 2).unflatten(2, grid)


GRIDS = st.tuples(st.integers(1, 9), st.integers(1, 9))


@pytest.mark.parametrize("dtype", TOLERANCE)
@examples(daily=20)
@given(seed=st.integers(0, 2**31), grid=GRIDS)
def test_values_and_layout(dtype: torch.dtype, seed: int, grid: tuple[int, int]) -> None:
    x = tokens(seed, grid, dtype)
    tolerance = {"rtol": 0, "atol": 4 * TOLERANCE[dtype]}
    bands = dwt2(x)
    torch.testing.assert_close(bands, dwt2(x.contiguous()), **tolerance)
    assert is_channels_last(bands)
    back = idwt2(bands, output_size=grid)
    torch.testing.assert_close(back, x, **tolerance)
    torch.testing.assert_close(back, idwt2(bands.contiguous(), output_size=grid), **tolerance)
    assert idwt2(bands).is_contiguous(memory_format=torch.channels_last)


@examples(daily=5)
@given(seed=st.integers(0, 2**31), grid=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_derivatives(seed: int, grid: tuple[int, int]) -> None:
    x = tokens(seed, grid, torch.float64).requires_grad_()
    torch.autograd.gradcheck(dwt2, x, check_forward_ad=True)
    bands = dwt2(x).detach().requires_grad_()
    torch.autograd.gradcheck(idwt2, bands, check_forward_ad=True)


def test_planes_are_left_to_the_kernels() -> None:
    """Negative control: neither planes nor an image's three channels count as tokens."""
    planes = torch.zeros(1, 8, 4, 4)
    assert not is_channels_last(planes)
    assert not is_channels_last(dwt2(planes))
    assert not is_channels_last(
        torch.zeros(1, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    )
