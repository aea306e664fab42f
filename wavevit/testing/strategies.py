"""Hypothesis strategies for images, shifts, wavelets and small backbones.

Hypothesis does not seed torch. So each strategy draws an integer as the seed of a
`torch.Generator`, and Hypothesis can reproduce and shrink an example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pywt
import torch
from torch import Tensor

from wavevit.checks import require_extra
from wavevit.models import Backbone, create_model, list_models
from wavevit.wavelets import filter_bank

if TYPE_CHECKING:
    import hypothesis
    from hypothesis import strategies as st
else:
    hypothesis = require_extra("hypothesis", "test")
    st = hypothesis.strategies

__all__ = ["images", "shifts", "sizes", "small_backbones", "wavelets"]


def sizes(minimum: int = 1, maximum: int = 17, multiple: int = 1) -> st.SearchStrategy[int]:
    """Sides in pixels from `minimum` to `maximum`, multiples of `multiple`."""
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
    """White noise (batch, channels, H, W): it has energy in every band and no symmetry.

    Args:
        draw: passed by Hypothesis.
        height: sides in pixels, such as ``sizes(16, 32)``; by default `sizes`.
        width: the same for the other side, drawn on its own; by default like `height`.
        batch: number of images.
        channels: number of channels.
        dtype: of the images.

    A test that fails prints a line of code that makes the smallest failing images again.
    """
    height = sizes() if height is None else height
    width = height if width is None else width
    shape = (batch, channels, draw(height), draw(width))
    seed = draw(st.integers(0, 2**32 - 1))
    if hypothesis.currently_in_test_context():
        hypothesis.note(
            f"images = torch.randn({shape}, generator=torch.Generator().manual_seed({seed}), "
            f"dtype=torch.float64).to({dtype})"
        )
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def wavelets(*, orthogonal: bool | None = None) -> st.SearchStrategy[str]:
    """Names of PyWavelets' discrete wavelets, Haar first; only (or no) orthogonal ones if asked."""
    names = sorted(pywt.wavelist(kind="discrete"), key=lambda name: (name != "haar", name))
    if orthogonal is not None:
        names = [name for name in names if filter_bank(name).orthogonal == orthogonal]
    return st.sampled_from(names)


@st.composite
def small_backbones(
    draw: st.DrawFn, pattern: str = "test_*", dtype: torch.dtype = torch.float64, **changes: Any
) -> Backbone:
    """A small registered backbone with random weights, in eval mode.

    Args:
        draw: passed by Hypothesis.
        pattern: pattern of names, see `wavevit.list_models`.
        dtype: dtype of weights and images.
        **changes: fields of `BackboneConfig`, such as ``in_chans`` or ``alignment``.
    """
    name = draw(st.sampled_from(list_models(pattern)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw(st.integers(0, 2**32 - 1)))
        model = create_model(name, **changes)
    assert isinstance(model, Backbone)
    return model.to(dtype).eval()
