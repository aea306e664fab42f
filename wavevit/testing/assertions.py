"""Assertions that say how far a law was missed and how to see it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from wavevit.measure.evaluation import evaluation_mode
from wavevit.testing.tolerances import tolerance

__all__ = ["assert_close_relative", "assert_shift_invariant"]


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
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    shifts: Iterable[tuple[int, int]],
    *,
    bound: float = 1e-9,
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
    with torch.no_grad(), evaluation_mode(model):
        reference = model(images).double().flatten(1)
        scale = reference.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
        for shift in sorted(shifts, key=lambda s: (abs(s[0]) + abs(s[1]), s)):
            moved = model(torch.roll(images, shift, dims=(-2, -1))).double().flatten(1)
            errors = (moved - reference).norm(dim=1) / scale
            worst = int(errors.argmax())
            if not errors[worst] <= bound:  # NaN fails too
                raise AssertionError(
                    f"not invariant: a circular shift by {shift} (rows, columns) changes image "
                    f"{worst} of {len(images)} by {float(errors[worst]):.3e}, allowed {bound:.1e}. "
                    "See it again: "
                    f"model(torch.roll(images[{worst}:{worst + 1}], {shift}, (-2, -1)))"
                )
