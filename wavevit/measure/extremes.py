"""Extreme singular values of a linear map of images, without circular padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from wavevit.checks import fail

__all__ = ["Extremes", "extreme_squares"]

Map = Callable[[Tensor], Tensor]
DENSE = 4096  # numbers of an image up to which the whole matrix is made (128 MB)
_TOGETHER = 64
_STEPS, _CLOSE = 300, 1e-9  # Lanczos vectors at most, and the residual over the norm that is enough


class Extremes(NamedTuple):
    """Squares of the extreme singular values, and how they were found (see `FrameBounds`)."""

    lower: float
    upper: float
    method: str
    residuals: tuple[float, float]


def extreme_squares(
    tokenize: Map,
    size: tuple[int, int, int],
    dense: int = DENSE,
    device: str | torch.device = "cpu",
) -> Extremes:
    """Squares of the extreme singular values of an affine map of images (C, H, W), in float64.

    The constant of the map is subtracted.

    Args:
        tokenize: images (B, C, H, W) to (B, …); differentiable once the image has more than
            `dense` numbers.
        size: of the image.
        dense: from how many numbers on to iterate.
        device: where images are made; it must know float64.

    Raises:
        ValueError: a map that is not affine.

    Guarantees:
        Both ways agree with a dense SVD (tests/unit/test_measure_spectrum.py).
    """
    with torch.no_grad():
        constant = tokenize(torch.zeros(1, *size, dtype=torch.float64, device=device))

    def linear(x: Tensor) -> Tensor:
        return (tokenize(x) - constant).flatten(1)

    _check_linear(linear, size, device)
    numbers, outputs = size[0] * size[1] * size[2], constant.numel()
    if numbers <= dense:
        pixels = torch.eye(numbers, dtype=torch.float64, device=device).reshape(numbers, *size)
        with torch.no_grad():
            matrix = torch.cat([linear(part) for part in pixels.split(_TOGETHER)])
        gram = matrix @ matrix.T if numbers <= outputs else matrix.T @ matrix
        values = torch.linalg.eigvalsh(gram)
        lower = max(float(values[0]), 0.0) if numbers <= outputs else 0.0
        return Extremes(lower, float(values[-1]), "dense", (0.0, 0.0))
    low, high, (below, above) = _lanczos(linear, size, device)
    if numbers > outputs:  # some image is mapped to nothing, for certain
        low, below = 0.0, 0.0
    return Extremes(low, high, "lanczos", (below, above))


def _check_linear(linear: Map, size: tuple[int, int, int], device: str | torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 1, *size, generator=generator, dtype=torch.float64).to(device)
    with torch.no_grad():
        expected = 2 * linear(one) - 3 * linear(two)
        error = (linear(2 * one - 3 * two) - expected).norm() / expected.norm().clamp_min(1e-300)
    if not error <= 1e-6:
        fail("tokenize", "a map that is affine", f"one with an error of {float(error):.2g}")


def _lanczos(
    linear: Map, size: tuple[int, int, int], device: str | torch.device
) -> tuple[float, float, tuple[float, float]]:
    """Smallest and largest Ritz value of ``fᵀf``, and their residuals.

    Every new vector is made orthogonal to all before it, twice: what is lost without is the
    residual's meaning.
    """
    image = torch.zeros(1, *size, dtype=torch.float64, device=device)
    pull = torch.func.vjp(linear, image)[1]  # of a linear map the same everywhere

    def gram(v: Tensor) -> Tensor:
        with torch.no_grad():
            pushed = linear(v.reshape(1, *size))
        return pull(pushed)[0].detach().flatten()

    generator = torch.Generator().manual_seed(0)
    v = torch.randn(image.numel(), generator=generator, dtype=torch.float64).to(device)
    steps = min(_STEPS, image.numel())
    basis = image.new_zeros(steps, image.numel())
    diagonal, beside = torch.zeros(steps).double(), torch.zeros(steps).double()
    low = high = below = above = 0.0
    for step in range(steps):
        basis[step] = v / v.norm()
        v = gram(basis[step])
        diagonal[step] = v @ basis[step]
        for _ in range(2):
            v = v - basis[: step + 1].T @ (basis[: step + 1] @ v)
        beside[step] = v.norm()
        last = step + 1 == steps or not beside[step] > 1e-13 * diagonal[: step + 1].max()
        if step % 10 == 9 or last:
            small = torch.diag(diagonal[: step + 1])
            small = small + torch.diag(beside[:step], 1) + torch.diag(beside[:step], -1)
            values, vectors = torch.linalg.eigh(small)
            low, high = float(values[0]), float(values[-1])
            below, above = (beside[step] * vectors[-1, [0, -1]].abs()).tolist()
            if last or max(below, above) <= _CLOSE * high:
                break
    return max(low, 0.0), high, (below, above)
