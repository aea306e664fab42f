"""Hypothesis strategies for images and shifts.

Hypothesis does not seed torch: a drawn integer seeds a `torch.Generator`, so that an example is
reproduced and shrunk by its seed and sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavevit.checks import require_extra

if TYPE_CHECKING:
    from hypothesis import strategies as st
else:
    st = require_extra("hypothesis", "test").strategies

__all__ = ["images", "shifts", "sizes"]


def sizes(minimum: int = 1, maximum: int = 17, multiple: int = 1) -> st.SearchStrategy[int]:
    """Sides in pixels that `multiple` divides."""
    return st.integers(-(-minimum // multiple), maximum // multiple).map(lambda n: n * multiple)


def shifts(largest: int = 40) -> st.SearchStrategy[tuple[int, int]]:
    """Integer shifts (rows, columns), negative ones included."""
    side = st.integers(-largest, largest)
    return st.tuples(side, side)


@st.composite
def images(
    draw: st.DrawFn,
    height: st.SearchStrategy[int] | None = None,
    width: st.SearchStrategy[int] | None = None,
    batch: int = 2,
    channels: int = 2,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """White noise (batch, channels, H, W): it has energy in every band and no symmetry."""
    sides = [sizes() if side is None else side for side in (height, width)]
    shape = (batch, channels, draw(sides[0]), draw(sides[1]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
