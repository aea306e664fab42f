"""Exact figures of linear tokenizers: frame bounds, operator norm, and what a 1-px shift aliases.

A linear map of images on a circle that commutes with shifts by its stride `P` is one small matrix
for each token frequency `ν`: `M_ν` takes the `C P²` polyphase components of an image (its pixels
by their place in a patch) to the `D` channels of a token. Its singular values over all `ν` are
those of the whole map, whatever the size of the image.

A shift by one pixel moves the components by a matrix `S_ν`; a map without aliasing would answer
with the phase ``e^{-iν/P}`` of a shift by ``1/P`` token. What is left, ``M_ν (S_ν − e^{-iν/P})``,
is aliasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail
from wavevit.measure.evaluation import in_batches

__all__ = ["AliasingNorm", "FrameBounds", "aliasing_norm", "frame_bounds"]


@dataclass(frozen=True)
class FrameBounds:
    """``lower ‖x‖² ≤ ‖f(x) − f(0)‖² ≤ upper ‖x‖²`` for every image, and both are reached.

    Attributes:
        lower: 0 where some image is mapped to nothing, as with fewer channels than pixels.
        upper: the square of `operator_norm`.
        redundancy: numbers out per number in.
        tokens: side of the circle in tokens; its frequencies are the ones that were looked at.
    """

    lower: float
    upper: float
    redundancy: float
    tokens: int

    @property
    def operator_norm(self) -> float:
        """Largest factor by which the map lengthens a difference of two images."""
        return math.sqrt(self.upper)


@dataclass(frozen=True)
class AliasingNorm:
    """Largest change that a 1-px circular shift makes beyond a shift of the tokens.

    Attributes:
        norm: for an image of norm 1; the worse of the two axes.
        relative: `norm` over the operator norm: 0 without aliasing, at most 2.
        tokens: side of the circle in tokens.
    """

    norm: float
    relative: float
    tokens: int


def frame_bounds(
    tokenize: Callable[[Tensor], Tensor], *, stride: int, in_chans: int = 3, tokens: int = 8
) -> FrameBounds:
    """Extreme singular values of a linear tokenizer.

    Args:
        tokenize: images (B, in_chans, H, W) to maps (B, D, H/stride, W/stride); affine, and on a
            circle: shifts of the image by `stride` must roll the map. A constant is subtracted.
        stride: pixels per token.
        in_chans: channels of the image.
        tokens: side of the circle; take it at least as long as the filters, in tokens. Bounds
            over a finer set of frequencies can only be wider.

    Raises:
        ValueError: a map that is not affine, does not commute with shifts by its stride, or has
            another stride.

    Guarantees:
        Equal to the singular values of the whole dense matrix; 1 and 1 for orthonormal transforms
        (tests/unit/test_measure_spectrum.py).

    Source:
        Polyphase matrices: Vaidyanathan 1993; frame bounds of filter banks: Cvetković &
        Vetterli 1998.
    """
    matrices = _polyphase(tokenize, stride, in_chans, tokens)
    values = torch.linalg.svdvals(matrices)
    wide = matrices.shape[-1] > matrices.shape[-2]  # fewer channels than pixels: a kernel
    lower = 0.0 if wide else float(values.min()) ** 2
    redundancy = matrices.shape[-2] / matrices.shape[-1]
    return FrameBounds(lower, float(values.max()) ** 2, redundancy, tokens)


def aliasing_norm(
    tokenize: Callable[[Tensor], Tensor], *, stride: int, in_chans: int = 3, tokens: int = 8
) -> AliasingNorm:
    """How far a 1-px shift of the image is from a shift of the tokens, at worst.

    Args:
        tokenize: as for `frame_bounds`.
        stride: pixels per token.
        in_chans: channels of the image.
        tokens: side of the circle.

    Raises:
        ValueError: as `frame_bounds`.

    Guarantees:
        Relative norm 2.00 for every orthogonal transform, 1.41 for block means, 0.50 for
        a binomial filter of five taps at stride 2; 0 at stride 1
        (tests/unit/test_measure_spectrum.py).
    """
    matrices = _polyphase(tokenize, stride, in_chans, tokens)
    largest = float(torch.linalg.matrix_norm(matrices, ord=2).max())
    # Frequencies in [−π, π): the base band is the one that a shift by 1/P token leaves in place.
    frequency = 2 * math.pi * torch.fft.fftfreq(tokens, dtype=torch.float64)
    shape = (tokens, tokens, matrices.shape[-2], in_chans, stride, stride)
    by_place = matrices.reshape(shape)
    worst = 0.0
    for axis in (0, 1):
        nu = frequency.reshape([-1, 1] if axis == 0 else [1, -1]).expand(tokens, tokens)
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


def _polyphase(
    tokenize: Callable[[Tensor], Tensor], stride: int, in_chans: int, tokens: int
) -> Tensor:
    """`M_ν` for every frequency of the circle, (tokens, tokens, D, in_chans · stride²)."""
    check_at_least("stride", stride, 1)
    check_at_least("in_chans", in_chans, 1)
    check_at_least("tokens", tokens, 1)
    side, places = stride * tokens, in_chans * stride * stride
    impulses = torch.zeros(places, in_chans, side, side, dtype=torch.float64)
    channel, row, column = torch.meshgrid(
        torch.arange(in_chans), torch.arange(stride), torch.arange(stride), indexing="ij"
    )
    impulses[torch.arange(places), channel.flatten(), row.flatten(), column.flatten()] = 1
    constant = in_batches(tokenize, torch.zeros_like(impulses[:1]), 1)
    if constant.shape[-2:] != (tokens, tokens) or constant.ndim != 4:
        expected = f"maps (B, D, {tokens}, {tokens}) of images of {side} pixels a side"
        fail("tokenize", expected, f"shape {tuple(constant.shape)}")
    responses = in_batches(tokenize, impulses, 64) - constant
    _check_affine(tokenize, impulses, responses, constant, stride)
    # An image is a sum of impulses moved by whole tokens, so its map is a convolution.
    return torch.fft.fft2(responses).permute(2, 3, 1, 0).to(torch.complex128)


def _check_affine(
    tokenize: Callable[[Tensor], Tensor],
    impulses: Tensor,
    responses: Tensor,
    constant: Tensor,
    stride: int,
) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(impulses), generator=generator, dtype=torch.float64)
    mixed = torch.einsum("p,pchw->chw", weights, impulses)[None]
    expected = torch.einsum("p,pchw->chw", weights, responses)[None]
    rolled = torch.roll(mixed, (stride, -stride), (-2, -1))
    for image, answer, law in (
        (mixed, expected, "affine"),
        (rolled, torch.roll(expected, (1, -1), (-2, -1)), "commuting with shifts by its stride"),
    ):
        error = (in_batches(tokenize, image, 1) - constant - answer).norm() / answer.norm()
        if error > 1e-6:
            fail("tokenize", f"a map that is {law}", f"one that misses it by {float(error):.2g}")
