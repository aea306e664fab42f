"""Slope of a model across a tie: where an argmax inside the model changes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_callable, check_image, check_numbers, fail
from wavevit.measure.evaluation import Model, in_batches

__all__ = ["TieSlope", "tie_slope"]


@dataclass(frozen=True)
class TieSlope:
    """Slopes across a tie for smaller and smaller gaps, one tuple for each image.

    Attributes:
        gaps: distances of the two images on both sides of the tie, as shares of the path.
        slopes: for each image, one for each gap: output change over pixel change, Euclidean norms.
        place: position of the tie on the path of each image, in [0, 1].
        exponents: for each image, the power of ``1 / gap`` with which the slope grows over
            the last two gaps: 0 if the slope is bounded, 1 if the output jumps.
    """

    gaps: tuple[float, ...]
    slopes: tuple[tuple[float, ...], ...]
    place: tuple[float, ...]
    exponents: tuple[float, ...]

    def saturates(self, below: float = 0.1) -> tuple[bool, ...]:
        """Images whose slopes do not grow any more.

        Args:
            below: largest exponent that counts as not growing; a kink like a square root has 0.5.
        """
        return tuple(exponent < below for exponent in self.exponents)


def tie_slope(
    model: Model,
    images: Tensor,
    *,
    scores: Model | None = None,
    ends: Tensor | None = None,
    gaps: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    steps: int = 32,
    batch_size: int = 128,
) -> TieSlope:
    """Slope across a tie on the straight line between two images.

    Args:
        model: images to (B, …), flattened.
        images: (N, C, H, W) in float64, because a narrower dtype cannot resolve the gaps.
        scores: images to (B, K): the values whose argmax the model uses, such as the energies
            of the phases. The tie is where the argmax changes. With None the steepest place is
            used instead: the steepest step of a first pass is halved again and again, keeping the
            steeper half. Jumps smaller than the steepest smooth step may be missed.
        ends: end of each image's path, (N, C, H, W); by default the image after a circular shift
            by one pixel, because every choice that follows the image changes on this path.
        gaps: shares of the path, at least two, decreasing.
        steps: steps of the first pass, without `scores`.
        batch_size: images at a time.

    Returns:
        A `TieSlope`.

    Raises:
        ValueError: images of another dtype, gaps that do not fall or are not in (0, 1], `ends` of
            another shape, or scores with the same argmax at both ends of a path.

    Guarantees:
        The exponent is 1 for a step, ½ for a square root and 0 for a linear map, whose slope is
        exact (tests/unit/test_measure_ties.py). It measures one tie of each path; other ties may
        be steeper.
    """
    check_image(images, "images")
    if images.dtype != torch.float64:
        fail("images", "float64 (and a model in float64)", images.dtype)
    for name, function in (("model", model), ("scores", scores)):
        if function is not None or name == "model":
            check_callable(name, function)
    shares = "at least two shares in (0, 1], decreasing"
    check_numbers("gaps", gaps, shares)
    falling = all(a > b for a, b in itertools.pairwise(gaps))
    if len(gaps) < 2 or not falling or gaps[0] > 1 or gaps[-1] <= 0:
        fail("gaps", shares, gaps)
    ends = torch.roll(images, 1, -1) if ends is None else ends
    check_image(ends, "ends")
    if ends.shape != images.shape:
        fail("ends", f"shape {tuple(images.shape)}", tuple(ends.shape))
    paths = ends - images

    def at(function: Model, times: Tensor) -> Tensor:
        x = images + times.to(images)[:, None, None, None] * paths
        return in_batches(function, x, batch_size).double().flatten(1)

    low = torch.zeros(len(images), dtype=torch.float64)
    high = torch.ones_like(low)
    followed = model if scores is None else scores
    if scores is None:
        grid = torch.linspace(0, 1, check_at_least("steps", steps, 1) + 1, dtype=torch.float64)
        walk = torch.stack([at(model, time.expand(len(images))) for time in grid])
        low = walk.diff(dim=0).norm(dim=2).argmax(dim=0).cpu().double() / steps
        high = low + 1 / steps
    first, last = at(followed, low), at(followed, high)
    if scores is not None and (first.argmax(dim=1) == last.argmax(dim=1)).any():
        fail("scores", "another argmax at the end of every path", "the same argmax")
    for _ in range(math.ceil(-math.log2(gaps[-1])) + 8):  # far finer than the last gap
        middle = (low + high) / 2
        between = at(followed, middle)
        if scores is None:
            left = (between - first).norm(dim=1) >= (last - between).norm(dim=1)
        else:
            left = between.argmax(dim=1) != first.argmax(dim=1)
        here, wide = left.cpu(), left[:, None]
        low, high = torch.where(here, low, middle), torch.where(here, middle, high)
        first, last = torch.where(wide, first, between), torch.where(wide, between, last)
    place = (low + high) / 2
    length = paths.flatten(1).norm(dim=1)
    slopes = torch.stack(
        [
            (at(model, place + gap / 2) - at(model, place - gap / 2)).norm(dim=1) / (gap * length)
            for gap in gaps
        ],
        dim=1,
    )
    tiny = torch.finfo(slopes.dtype).tiny
    growth = (slopes[:, -1].clamp_min(tiny) / slopes[:, -2].clamp_min(tiny)).log()
    exponents = growth / math.log(gaps[-2] / gaps[-1])
    return TieSlope(
        gaps,
        tuple(tuple(row) for row in slopes.tolist()),
        tuple(place.tolist()),
        tuple(exponents.tolist()),
    )
