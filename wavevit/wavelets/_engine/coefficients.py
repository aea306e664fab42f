"""Checks of coefficients, and the crop of an image that was extended to even sides."""

from __future__ import annotations

from torch import Tensor

from wavevit.checks import fail
from wavevit.wavelets._engine.symbolic_shapes import certainly, fixed, take

__all__ = ["check_bands", "check_maps", "crop"]


def check_bands(coefficients: Tensor, argument: str, bands: int) -> None:
    """Checks subbands: a floating tensor of shape (B, C, bands, h, w).

    Raises:
        ValueError: wrong type, rank, dtype or number of bands.
    """
    if not isinstance(coefficients, Tensor) or coefficients.ndim != 5:
        shape = tuple(getattr(coefficients, "shape", ()))
        fail(argument, f"a tensor of shape (B, C, {bands}, h, w)", f"shape {shape}")
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


def crop(x: Tensor, output_size: tuple[int, int] | None, argument: str = "output_size") -> Tensor:
    """Drops the row or column that an odd side was extended by.

    Raises:
        ValueError: `output_size` is not `x`'s size or one below it.
    """
    if output_size is None:
        return x
    for dim, side in zip((-2, -1), output_size, strict=True):
        if certainly(side > x.shape[dim]) or certainly(side < x.shape[dim] - 1):
            expected = f"sides equal to or one below the reconstruction's {tuple(x.shape[-2:])}"
            fail(argument, expected, tuple(output_size))
        x = take(x, dim, 0, side)
    return x
