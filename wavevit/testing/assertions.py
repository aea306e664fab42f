"""Assertions that say how far a law was missed and how to see it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

from wavevit.measure.evaluation import Model, evaluation_mode
from wavevit.measure.shifting import fourier_shift
from wavevit.testing.tolerances import tolerance

__all__ = [
    "assert_close_relative",
    "assert_perfect_reconstruction",
    "assert_shift_equivariant",
    "assert_shift_invariant",
]

T = TypeVar("T")


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """``‖actual − expected‖ / ‖expected‖``, computed in float64; absolute where that is 0."""
    actual, expected = actual.detach().double(), expected.detach().double()
    return float((actual - expected).norm() / (expected.norm() or torch.tensor(1.0)))


def assert_close_relative(
    actual: Tensor, expected: Tensor, *, depth: int = 1, bound: float | None = None
) -> None:
    """Compares two tensors by the norm of their difference.

    Args:
        actual: whose dtype sets the tolerance.
        expected: same shape, any dtype.
        depth: steps of computation behind `actual`; the tolerance grows with it.
        bound: a relative bound instead of the dtype's tolerance.

    Raises:
        AssertionError: with the error, the bound and the place of the largest difference.
    """
    assert actual.shape == expected.shape, f"shapes {actual.shape} and {expected.shape}"
    bound = tolerance(actual.dtype, depth) if bound is None else bound
    error = relative_error(actual, expected)
    if error <= bound:
        return
    difference = (actual.detach().double() - expected.detach().double()).abs()
    place = tuple(int(i) for i in torch.unravel_index(difference.argmax(), difference.shape))
    raise AssertionError(
        f"relative error {error:.3e} exceeds {bound:.1e}; the largest difference is "
        f"{float(difference.max()):.3e} at {place}"
    )


def assert_shift_invariant(
    model: Model, images: Tensor, shifts: Iterable[tuple[int, int]], *, bound: float = 1e-9
) -> None:
    """Every circular shift of every image must give the same output.

    Args:
        model: images to (B, …).
        images: (B, C, H, W).
        shifts: rows and columns in pixels.
        bound: on ``‖f(T_s x) − f(x)‖ / ‖f(x)‖`` of each image; 1e-9 suits float64.

    Raises:
        AssertionError: names the smallest shift that fails, the image, the error and the bound.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        >>> assert_shift_invariant(lambda x: x.mean((2, 3)), images, [(0, 1), (3, 5)])
    """
    _assert_follows("invariant", model, images, shifts, bound, lambda output, shift: output)


def assert_shift_equivariant(
    model: Model, images: Tensor, shifts: Iterable[tuple[int, int]], *, bound: float = 1e-9
) -> None:
    """Every circular shift of every image must shift its map by as many pixels.

    Args:
        model: images to maps (B, D, h, w) whose sides divide the image's. A shift that is no
            multiple of the map's stride moves the map by a fraction of a cell: the Fourier shift.
        images: (B, C, H, W).
        shifts: rows and columns in pixels.
        bound: on ``‖f(T_s x) − T_s f(x)‖ / ‖f(x)‖`` of each image; 1e-9 suits float64.

    Raises:
        AssertionError: names the smallest shift that fails, the image, the error and the bound.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        >>> assert_shift_equivariant(lambda x: x.square(), images, [(0, 1), (3, 5)])
    """

    def follow(output: Tensor, shift: tuple[int, int]) -> Tensor:
        assert output.ndim == 4, f"expected maps (B, D, h, w), got shape {tuple(output.shape)}"
        sides = zip(shift, output.shape[-2:], images.shape[-2:], strict=True)
        rows, columns = (amount * cells / pixels for amount, cells, pixels in sides)
        if rows == int(rows) and columns == int(columns):
            return torch.roll(output, (int(rows), int(columns)), (-2, -1))
        return fourier_shift(output, (rows, columns))

    _assert_follows("equivariant", model, images, shifts, bound, follow)


def _assert_follows(
    law: str,
    model: Model,
    images: Tensor,
    shifts: Iterable[tuple[int, int]],
    bound: float,
    follow: Callable[[Tensor, tuple[int, int]], Tensor],
) -> None:
    with torch.no_grad(), evaluation_mode(model):
        reference = model(images).double()
        scale = reference.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
        for shift in sorted(shifts, key=lambda s: (abs(s[0]) + abs(s[1]), s)):
            moved = model(torch.roll(images, shift, dims=(-2, -1))).double()
            errors = (moved - follow(reference, shift)).flatten(1).norm(dim=1) / scale
            worst = int(errors.argmax())
            if not errors[worst] <= bound:  # NaN fails too
                raise AssertionError(
                    f"not {law}: a circular shift by {shift} (rows, columns) changes image "
                    f"{worst} of {len(images)} by {float(errors[worst]):.3e}, allowed {bound:.1e}. "
                    "See it again: "
                    f"model(torch.roll(images[{worst}:{worst + 1}], {shift}, (-2, -1)))"
                )


def assert_perfect_reconstruction(
    analyse: Callable[[Tensor], T],
    synthesise: Callable[[T], Tensor],
    images: Tensor,
    *,
    depth: int = 1,
    bound: float | None = None,
) -> None:
    """A transform and its inverse must bring every image back.

    Args:
        analyse: images (B, C, H, W) to coefficients of any kind.
        synthesise: those coefficients to images.
        images: (B, C, H, W).
        depth: levels of the transform; the dtype's tolerance grows with it.
        bound: a relative bound instead of the dtype's tolerance.

    Raises:
        AssertionError: names the worst image, its error, the bound and the worst pixel.

    Example:
        >>> import torch
        >>> from wavevit.wavelets import dwt2, idwt2
        >>> assert_perfect_reconstruction(dwt2, idwt2, torch.rand(2, 3, 8, 8))
    """
    with torch.no_grad():
        rebuilt = synthesise(analyse(images))
    expected = tuple(images.shape)
    assert rebuilt.shape == images.shape, f"expected shape {expected}, got {tuple(rebuilt.shape)}"
    bound = tolerance(images.dtype, depth) if bound is None else bound
    errors = torch.tensor([relative_error(a, b) for a, b in zip(rebuilt, images, strict=True)])
    worst = int(errors.nan_to_num(torch.inf).argmax())
    if not errors[worst] <= bound:
        difference = (rebuilt[worst] - images[worst]).abs()
        place = tuple(int(i) for i in torch.unravel_index(difference.argmax(), difference.shape))
        raise AssertionError(
            f"not reconstructed: image {worst} of {len(images)} comes back with a relative error "
            f"of {float(errors[worst]):.3e}, allowed {bound:.1e}; the worst pixel is {place} "
            f"(channel, row, column), off by {float(difference[place]):.3e}. "
            f"See it again: synthesise(analyse(images[{worst}:{worst + 1}]))"
        )
