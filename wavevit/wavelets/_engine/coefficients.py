"""Checks and order of coefficients, and the crop of images that were extended to even sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavevit.checks import fail
from wavevit.wavelets._engine.symbolic_shapes import certainly, exporting, fixed, take

__all__ = [
    "check_bands",
    "check_maps",
    "check_output_size",
    "check_pyramid",
    "crop",
    "sides",
    "split_order",
]

_WHOLE = (int, torch.SymInt, np.integer)


def split_order(dims: int) -> tuple[int, ...]:
    """Axes in the order in which a transform splits them: the first one's band counts most.

    Of images the columns come first, which gives PyWavelets' ``cA, cH, cV, cD``; of volumes the
    depth, which gives the order of its ``dwtn`` keys, ``aaa, aad, ada, …``.
    """
    return (-1, -2) if dims == 2 else tuple(range(-dims, 0))


def sides(dims: int, names: str = "dhw") -> str:
    """The sides of a grid as messages write them, for example ``h, w``; ``l`` is one side alone."""
    return "l" if dims == 1 else ", ".join(names[-dims:])


def check_pyramid(pyramid: Any) -> tuple[Tensor, Sequence[Tensor]]:
    """Returns ``(approx, details)`` if it is such a pair, the details a sequence.

    What is inside is checked where it is used. PyWavelets has another form: one list of the
    approximation and a tuple for each level.

    Raises:
        ValueError: no pair, or details that are no tuple or list.
    """
    pair = isinstance(pyramid, tuple | list) and len(pyramid) == 2
    if not pair or not isinstance(pyramid[1], tuple | list):
        got = type(pyramid).__name__
        if isinstance(pyramid, tuple | list):
            got += f" of {', '.join(type(part).__name__ for part in pyramid) or 'nothing'}"
        fail(
            "pyramid",
            "a pair (approx, details), where details is a tuple with one tensor for each level",
            got,
        )
    approx, details = pyramid
    return approx, details


def check_bands(coefficients: Tensor, argument: str, bands: int, dims: int = 2) -> None:
    """Checks subbands: a floating tensor of shape (B, C, bands, h, w), or of another grid.

    Raises:
        ValueError: wrong type, rank, dtype or number of bands.
    """
    if not isinstance(coefficients, Tensor) or coefficients.ndim != 3 + dims:
        shape = tuple(getattr(coefficients, "shape", ()))
        fail(argument, f"a tensor of shape (B, C, {bands}, {sides(dims)})", f"shape {shape}")
    if not coefficients.is_floating_point():
        fail(argument, "a floating dtype", coefficients.dtype)
    if fixed(coefficients.shape[2]) != bands:
        fail(argument, f"{bands} subbands on axis 2", f"shape {tuple(coefficients.shape)}")


def check_maps(bands: Tensor, argument: str, approx: Tensor) -> None:
    """Checks that details have the batch and the channels of their approximation.

    Raises:
        ValueError: they have not.
    """
    if any(certainly(a != b) for a, b in zip(bands.shape[:2], approx.shape[:2], strict=True)):
        expected = f"the approximation's batch and channels {tuple(approx.shape[:2])}"
        fail(argument, expected, tuple(bands.shape[:2]))


def check_output_size(output_size: Any, argument: str = "output_size", dims: int = 2) -> None:
    """Checks that an output size has one whole number for each side.

    Raises:
        ValueError: it has not.
    """
    if (
        not isinstance(output_size, Sequence)
        or isinstance(output_size, str)
        or len(output_size) != dims
    ):
        fail(argument, f"{dims} sides", repr(output_size))
    if exporting():  # symbols, and tensors of torch.jit.trace
        return
    if any(isinstance(side, bool) or not isinstance(side, _WHOLE) for side in output_size):
        fail(argument, f"{dims} sides, whole numbers", repr(output_size))


def crop(
    x: Tensor, output_size: Sequence[int] | None, argument: str = "output_size", dims: int = 2
) -> Tensor:
    """Drops the last sample of a side, such as a row, that an odd side was extended by.

    Raises:
        ValueError: `output_size` is not one number a side, or not `x`'s size or one below it.
    """
    if output_size is None:
        return x
    check_output_size(output_size, argument, dims)
    for dim, side in zip(range(-dims, 0), output_size, strict=True):
        if certainly(side > x.shape[dim]) or certainly(side < x.shape[dim] - 1):
            expected = f"sides equal to or one below the reconstruction's {tuple(x.shape[-dims:])}"
            fail(argument, expected, tuple(output_size))
        x = take(x, dim, 0, side)
    return x
