"""Assertions of laws; messages have the error, the bound and code to reproduce the failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_callable,
    check_number,
    check_pair,
    check_real,
    check_tensor,
    fail,
)
from wavevit.measure.evaluation import Model, evaluation_mode
from wavevit.measure.shifting import fourier_shift
from wavevit.testing.subject import require
from wavevit.testing.tolerances import network_tolerance, tolerance

__all__ = [
    "assert_close_relative",
    "assert_perfect_reconstruction",
    "assert_shift_equivariant",
    "assert_shift_invariant",
]

T = TypeVar("T")


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Relative error ``‖actual − expected‖ / ‖expected‖`` in float64; absolute if that is 0/0."""
    actual, expected = actual.detach().double(), expected.detach().double()
    return float((actual - expected).norm() / (expected.norm() or torch.tensor(1.0)))


def assert_close_relative(
    actual: Tensor, expected: Tensor, *, depth: int = 1, bound: float | None = None
) -> None:
    """Asserts that two tensors are close: compares the norm of their difference with a tolerance.

    Args:
        actual: tensor; its dtype sets the tolerance.
        expected: tensor of the same shape, any dtype.
        depth: number of computation steps that gave `actual`; the tolerance grows with it.
        bound: a relative bound instead of the dtype's tolerance.

    Raises:
        AssertionError: with the error, the bound and the place of the largest difference.
        ValueError: something else than real tensors, a depth below 0 or a bound below 0.
    """
    for name, value in (("actual", actual), ("expected", expected)):
        if not isinstance(value, Tensor):
            fail(name, "a torch.Tensor", type(value).__name__)
        check_real(name, value)
    _check_bound(bound)
    check_at_least("depth", depth, 0)
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


def _check_bound(bound: float | None) -> None:
    if bound is not None:
        check_number("bound", bound, least=0)


def _check_images(images: Tensor) -> None:
    """An assertion about no image would hold of every model."""
    check_tensor("images", images, "(B, C, H, W)", 4)
    if not len(images):
        fail("images", "at least one image", f"shape {tuple(images.shape)}")


def assert_shift_invariant(
    model: Model, images: Tensor, shifts: Iterable[tuple[int, int]], *, bound: float | None = None
) -> None:
    """Asserts that a model is invariant to circular shifts.

    Args:
        model: images to (B, …).
        images: (B, C, H, W).
        shifts: rows and columns in pixels.
        bound: bound of ``‖f(T_s x) − f(x)‖ / ‖f(x)‖`` for each image; the default depends on the
            dtype of the images (`wavevit.testing.NETWORK_TOLERANCES`).

    Raises:
        AssertionError: the message has the smallest shift that fails, the smallest image found
            (one of yours, cropped as far as the law still fails), the error, the bound, and code
            to reproduce it.
        ValueError: no callable, no images, no shifts by whole pixels, or a bound below 0.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        >>> assert_shift_invariant(lambda x: x.mean((2, 3)), images, [(0, 1), (3, 5)])
    """
    _assert_follows("invariant", model, images, shifts, bound, lambda x, output, shift: output)


def assert_shift_equivariant(
    model: Model, images: Tensor, shifts: Iterable[tuple[int, int]], *, bound: float | None = None
) -> None:
    """Asserts that maps of a model move with the image under circular shifts.

    Args:
        model: images to maps (B, D, h, w) whose sides divide the image's. If a shift is not a
            multiple of the map's stride, the map is moved by a Fourier shift.
        images: (B, C, H, W).
        shifts: rows and columns in pixels.
        bound: bound of ``‖f(T_s x) − T_s f(x)‖ / ‖f(x)‖`` for each image; the default depends on
            the dtype of the images (`wavevit.testing.NETWORK_TOLERANCES`).

    Raises:
        AssertionError: the message has the smallest shift that fails, the smallest image found
            (one of yours, cropped as far as the law still fails), the error, the bound, and code
            to reproduce it.
        ValueError: no callable, no images, no shifts by whole pixels, or a bound below 0.

    Example:
        >>> import torch
        >>> images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        >>> assert_shift_equivariant(lambda x: x.square(), images, [(0, 1), (3, 5)])
    """

    def follow(x: Tensor, output: Tensor, shift: tuple[int, int]) -> Tensor:
        assert output.ndim == 4, f"expected maps (B, D, h, w), got shape {tuple(output.shape)}"
        sides = zip(shift, output.shape[-2:], x.shape[-2:], strict=True)
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
    bound: float | None,
    follow: Callable[[Tensor, Tensor, tuple[int, int]], Tensor],
) -> None:
    check_callable("model", model)
    _check_images(images)
    _check_bound(bound)
    allowed = network_tolerance(images.dtype) if bound is None else bound
    words = "at least one pair of whole pixels (rows, columns)"
    shifts = list(shifts) if isinstance(shifts, Iterable) else []
    if not shifts:
        fail("shifts", words, "none")
    for shift in shifts:
        check_pair("shifts", shift, words)

    def errors_of(x: Tensor, shift: tuple[int, int]) -> Tensor:
        still = check_real("model", model(x)).double()
        scale = still.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
        moved = model(torch.roll(x, shift, dims=(-2, -1))).double()
        # NaN is no agreement.
        return ((moved - follow(x, still, shift)).flatten(1).norm(dim=1) / scale).nan_to_num(
            torch.inf
        )

    with torch.no_grad(), evaluation_mode(model):
        for shift in sorted(shifts, key=lambda s: (abs(s[0]) + abs(s[1]), s)):
            errors = errors_of(images, shift)
            worst = int(errors.argmax())
            if errors[worst] <= allowed:
                continue
            small = smallest(images[worst : worst + 1], partial(errors_of, shift=shift), allowed)
            whole = small.shape == images[:1].shape
            error = float(errors[worst] if whole else errors_of(small, shift))
            example = _example(worst, small, images)
            raise AssertionError(
                f"not {law}: a circular shift by {shift} (rows, columns) changes image {worst} of "
                f"{len(images)}{_cut(small, images)} by {error:.3e}, allowed {allowed:.1e}. To "
                f"reproduce: model(torch.roll({example}, {shift}, (-2, -1))) and model({example})"
            )


def smallest(image: Tensor, errors_of: Callable[[Tensor], Tensor], allowed: float) -> Tensor:
    """Crops the image to its upper left as long as the law still fails.

    If the model raises any error at another size, the image is not cropped.
    """
    while min(image.shape[-2:]) >= 2:
        half = image[..., : image.shape[-2] // 2, : image.shape[-1] // 2]
        try:
            fails = not bool((errors_of(half) <= allowed).all())
        except Exception:  # of somebody's model
            break
        if not fails:
            break
        image = half
    return image


def _cut(small: Tensor, images: Tensor) -> str:
    same = small.shape[-2:] == images.shape[-2:]
    return "" if same else f", cut to {small.shape[-2]} x {small.shape[-1]} pixels,"


def _example(index: int, small: Tensor, images: Tensor) -> str:
    """An expression that gives the image again."""
    if small.shape[-2:] == images.shape[-2:]:
        return f"images[{index}:{index + 1}]"
    return f"images[{index}:{index + 1}, :, :{small.shape[-2]}, :{small.shape[-1]}]"


def assert_perfect_reconstruction(
    analyse: Callable[[Tensor], T],
    synthesise: Callable[[T], Tensor],
    images: Tensor,
    *,
    depth: int = 1,
    bound: float | None = None,
) -> None:
    """Asserts perfect reconstruction: a transform and its inverse give the image again.

    Args:
        analyse: images (B, C, H, W) to coefficients of any kind.
        synthesise: those coefficients to images.
        images: (B, C, H, W).
        depth: levels of the transform; the dtype's tolerance grows with it.
        bound: a relative bound instead of the dtype's tolerance.

    Raises:
        AssertionError: the message has the worst image, cropped as far as it still fails, its
            error, the bound, the worst pixel, and code to reproduce it.
        ValueError: no callables, no images, a depth below 0 or a bound below 0.

    Example:
        >>> import torch
        >>> from wavevit.wavelets import dwt2, idwt2
        >>> assert_perfect_reconstruction(dwt2, idwt2, torch.rand(2, 3, 8, 8))
    """
    for name, function in (("analyse", analyse), ("synthesise", synthesise)):
        check_callable(name, function)
    _check_images(images)
    check_at_least("depth", depth, 0)
    _check_bound(bound)
    bound = tolerance(images.dtype, depth) if bound is None else bound
    rebuilt = images

    def errors_of(x: Tensor) -> Tensor:
        nonlocal rebuilt
        with torch.no_grad():
            rebuilt = synthesise(analyse(x))
        came = tuple(rebuilt.shape)
        require(came == tuple(x.shape), f"expected shape {tuple(x.shape)}, got {came}")
        errors = [relative_error(a, b) for a, b in zip(rebuilt, x, strict=True)]
        return torch.tensor(errors).nan_to_num(torch.inf)

    errors = errors_of(images)
    worst = int(errors.argmax())
    if not errors[worst] <= bound:
        error, difference = float(errors[worst]), (rebuilt[worst] - images[worst]).abs()
        small = smallest(images[worst : worst + 1], errors_of, bound)
        if small.shape != images[:1].shape:
            error, difference = float(errors_of(small)), (rebuilt[0] - small[0]).abs()
        place = tuple(int(i) for i in torch.unravel_index(difference.argmax(), difference.shape))
        raise AssertionError(
            f"not reconstructed: image {worst} of {len(images)}{_cut(small, images)} has "
            f"a relative error of {error:.3e}, allowed {bound:.1e}; the worst pixel is "
            f"{place} (channel, row, column), with an error of "
            f"{float(difference[place]):.3e}. To reproduce: "
            f"synthesise(analyse({_example(worst, small, images)}))"
        )
