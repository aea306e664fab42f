"""Frame bounds, operator norm and aliasing norm of linear tokenizers.

With circular padding, a linear map that commutes with shifts by its stride `P` is one matrix `M_ν`
for each token frequency (`wavevit.measure.circulant`), so the results are exact. With other padding
it is one matrix of the whole image (`wavevit.measure.extremes`).

A shift by one pixel changes the polyphase components by a matrix `S_ν`; a map without aliasing
changes by the phase ``e^{-iν/P}`` of a shift by ``1/P`` token. The difference
``M_ν (S_ν − e^{-iν/P})`` is aliasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import as_pair, check_at_least, check_callable, check_device, check_size, fail
from wavevit.measure.circulant import circle_bounds, polyphase_matrices
from wavevit.measure.evaluation import evaluation_mode
from wavevit.measure.extremes import Extremes, extreme_squares

__all__ = ["AliasingNorm", "FrameBounds", "aliasing_norm", "frame_bounds"]


@dataclass(frozen=True)
class FrameBounds:
    """Frame bounds: ``lower ‖x‖² ≤ ‖f(x) − f(0)‖² ≤ upper ‖x‖²`` for every image of the size.

    Attributes:
        lower: 0 if some image is mapped to zero, as with fewer channels than pixels.
        upper: the square of `operator_norm`.
        redundancy: number of outputs for each input number.
        tokens: rows and columns of the grid (with circular padding: the frequencies that are used).
        method: ``"circle"`` and ``"dense"``: exact to rounding. ``"lanczos"``: found by iteration.
            Some image reaches each bound (to `residuals`), but `lower` may be too large and
            `upper` too small, so they are not a certificate.
        residuals: residuals of the iteration at `lower` and at `upper`: an eigenvalue of ``fᵀf``
            is within this distance of each; 0 if exact.
    """

    lower: float
    upper: float
    redundancy: float
    tokens: tuple[int, int]
    method: str
    residuals: tuple[float, float]

    @property
    def operator_norm(self) -> float:
        """Largest factor by which the map changes the norm of a difference of two images."""
        return math.sqrt(self.upper)

    @property
    def exact(self) -> bool:
        """Whether the bounds are exact to rounding, not from an iteration."""
        return self.method != "lanczos"


@dataclass(frozen=True)
class AliasingNorm:
    """Largest change under a 1-px circular shift that is no shift of the tokens.

    Attributes:
        norm: value for an image of norm 1, for the worse of the two axes.
        relative: `norm` over the operator norm: 0 without aliasing, at most 2.
        tokens: side of the circle in tokens.
    """

    norm: float
    relative: float
    tokens: int


def frame_bounds(
    tokenize: Callable[[Tensor], Tensor],
    *,
    stride: int,
    in_chans: int = 3,
    tokens: int | tuple[int, int] = 8,
    circular: bool = True,
    device: str | torch.device = "cpu",
) -> FrameBounds:
    """Frame bounds of a linear tokenizer, from its extreme singular values.

    Args:
        tokenize: images (B, in_chans, H, W) to maps (B, D, H/stride, W/stride); affine. With
            circular padding, circular shifts of the image by `stride` must shift the map. A
            constant is subtracted.
        stride: pixels per token.
        in_chans: channels of the image.
        tokens: side of the grid, or its rows and columns; at least as long as the filters. With
            more tokens the bounds can only get wider.
        circular: False for zeros, mirrors or other padding. Then the matrix of the whole
            image is used, exactly up to 4096 numbers and by Lanczos iteration above
            (see `FrameBounds.method`); `tokenize` must be differentiable for that.
        device: device of `tokenize`; it must support float64.

    Raises:
        ValueError: a map that is not affine, has another stride, or is said to be circular and
            does not commute with shifts by its stride; a number below 1; or a device that this
            machine does not have.

    Guarantees:
        Equal to the singular values of the whole dense matrix, for every padding; 1
        and 1 for orthonormal transforms (tests/unit/test_measure_spectrum.py).

    Source:
        Polyphase matrices: Vaidyanathan 1993; frame bounds of filter banks: Cvetković &
        Vetterli 1998; Lanczos with full reorthogonalisation: Golub & Van Loan, section 10.3.
    """
    check_callable("tokenize", tokenize)
    check_at_least("stride", stride, 1)
    check_at_least("in_chans", in_chans, 1)
    grid = as_pair(check_size("tokens", tokens))
    check_device("device", device)
    size = (in_chans, stride * grid[0], stride * grid[1])
    with evaluation_mode(tokenize):
        with torch.no_grad():
            shape = tokenize(torch.zeros(1, *size, dtype=torch.float64, device=device)).shape
        if len(shape) != 4 or tuple(shape[-2:]) != tuple(grid):
            expected = f"maps (B, D, {grid[0]}, {grid[1]}) of images of {size[1:]} pixels"
            fail("tokenize", expected, f"shape {tuple(shape)}")
        if circular:
            lower, upper = circle_bounds(tokenize, stride, in_chans, grid, device)
            found = Extremes(lower, upper, "circle", (0.0, 0.0))
        else:
            found = extreme_squares(tokenize, size, device=device)
    redundancy = shape[1] / (in_chans * stride * stride)
    rows, columns = grid
    return FrameBounds(
        found.lower, found.upper, redundancy, (rows, columns), found.method, found.residuals
    )


def aliasing_norm(
    tokenize: Callable[[Tensor], Tensor],
    *,
    stride: int,
    in_chans: int = 3,
    tokens: int = 8,
    device: str | torch.device = "cpu",
) -> AliasingNorm:
    """Aliasing norm: largest change under a 1-px shift that is no shift of the tokens.

    Args:
        tokenize: as for `frame_bounds`.
        stride: pixels per token.
        in_chans: channels of the image.
        tokens: side of the grid.
        device: device of `tokenize`; it must support float64.

    Raises:
        ValueError: as `frame_bounds`.

    Guarantees:
        Relative norm 2.00 for every orthogonal transform, 1.41 for block means, 0.50 for
        a binomial filter of five taps at stride 2; 0 at stride 1
        (tests/unit/test_measure_spectrum.py).
    """
    check_callable("tokenize", tokenize)
    check_device("device", device)
    with evaluation_mode(tokenize):
        matrices = polyphase_matrices(tokenize, stride, in_chans, (tokens, tokens), device)
    largest = float(torch.linalg.matrix_norm(matrices, ord=2).max())
    # Frequencies in [−π, π): the base band is the one that a shift by 1/P token leaves in place.
    frequency = 2 * math.pi * torch.fft.fftfreq(tokens, dtype=torch.float64, device=device)
    grid = (tokens, matrices.shape[1])
    by_place = matrices.reshape(*grid, matrices.shape[-2], in_chans, stride, stride)
    worst = 0.0
    for axis in (0, 1):
        nu = frequency[:, None] if axis == 0 else frequency[: grid[1]]
        nu = nu.expand(grid)
        moved = torch.roll(by_place, -1, dims=4 + axis)
        # The component that leaves its patch enters the next one: a whole token later.
        last = moved.select(4 + axis, stride - 1)
        last *= torch.polar(torch.ones_like(nu), -nu)[..., None, None, None]
        ideal = (
            by_place * torch.polar(torch.ones_like(nu), -nu / stride)[..., None, None, None, None]
        )
        error = (moved - ideal).reshape(matrices.shape)
        worst = max(worst, float(torch.linalg.matrix_norm(error, ord=2).max()))
    return AliasingNorm(worst, worst / largest if largest else 0.0, tokens)
