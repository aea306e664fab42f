"""Shift consistency, shift sensitivity and token turnover."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavevit.checks import (
    check_at_least,
    check_bool,
    check_callable,
    check_choice,
    check_grid,
    check_number,
    check_numbers,
    check_seed,
    fail,
)
from wavevit.measure.evaluation import Model, in_batches
from wavevit.measure.intervals import Interval, mean_interval, standard_error, wilson, worth
from wavevit.measure.shifting import SHIFT_MODELS, center_crop, input_sides, shifted

__all__ = [
    "ShiftConsistency",
    "ShiftSensitivity",
    "TokenTurnover",
    "shift_consistency",
    "shift_sensitivity",
    "token_change",
    "token_turnover",
]


@dataclass(frozen=True)
class ShiftConsistency:
    """Share of pairs of shifts of one image that get the same top-1 class.

    Attributes:
        percent: in [0, 100].
        stderr: binomial standard error of `percent`, pairs taken as independent.
        pairs: number of pairs.
        trials: effective number of independent pairs, from the number of images to `pairs`,
            because pairs of one image are alike.
        max_shift: largest random offset in pixels.
        kind: shift model.
        seed: of the offsets.
    """

    percent: float
    stderr: float
    pairs: int
    trials: float
    max_shift: int
    kind: str
    seed: int

    @property
    def interval(self) -> Interval:
        """95 % interval of `percent` (Wilson, with `trials`)."""
        return wilson(self.percent, self.trials)


def shift_consistency(
    model: Model,
    images: Tensor,
    *,
    kind: str,
    crop_size: int | None = None,
    pairs_per_image: int = 4,
    crossed: bool = False,
    seed: int = 0,
    batch_size: int = 128,
) -> ShiftConsistency:
    """C-Cons (``circular``), S-Cons (``crop``) or HP-Cons (``subpixel``) of a classifier.

    Args:
        model: images to logits (B, classes).
        images: (N, C, H, W); for ``"crop"`` windows of at least 8/7 of the crop's side.
        kind: ``"circular"``: offsets uniform in ±1/7 of the side (±32 px at 224).
            ``"crop"``: two crops of a window 8/7 as large as the crop, offsets uniform.
            ``"subpixel"``: circular, with one of the two shifted by half a pixel more on both
            axes, so the two differ by a fraction of a pixel.
        crop_size: side of the crop in pixels, for ``"crop"``.
        pairs_per_image: pairs of shifts drawn for each image.
        crossed: pair each of k first shifts with each of k second ones, where `pairs_per_image`
            is a square k²: 2k forward passes in place of 2k². The pairs are less independent,
            which `trials` says.
        seed: of the offsets.
        batch_size: images at a time.

    Returns:
        A `ShiftConsistency`, in percent.

    Raises:
        ValueError: an unknown shift model, no pair, a number of crossed pairs that is no square, or
            windows too small for the shifts.

    Source:
        Zhang 2019 (S-Cons), Chaman & Dokmanic 2021 (C-Cons), Michaeli et al. 2023 (half-pixel).
    """
    check_choice("kind", kind, SHIFT_MODELS)
    check_at_least("pairs_per_image", pairs_per_image, 1)
    check_callable("model", model)
    check_bool("crossed", crossed)
    check_seed("seed", seed)
    size = input_sides(images, crop_size, kind)
    generator = torch.Generator().manual_seed(seed)
    side = min(size)
    # For crops the offsets span a window of 8/7 of the side: half of 1/7 to each direction.
    spread = side // 7
    low, high = (-(spread // 2), spread - spread // 2) if kind == "crop" else (-spread, spread)
    fraction = 0.5 if kind == "subpixel" else 0.0
    draws = math.isqrt(pairs_per_image) if crossed else pairs_per_image
    if crossed and draws**2 != pairs_per_image:
        fail("pairs_per_image", "a square number for crossed pairs", pairs_per_image)
    first: list[Tensor] = []
    second: list[Tensor] = []
    for _ in range(draws):
        for extra, answers in ((0.0, first), (fraction, second)):
            offsets = torch.randint(low, high + 1, (len(images), 2), generator=generator)
            moved = [
                shifted(image[None], (dy + extra, dx + extra), kind, size)
                for image, (dy, dx) in zip(images, offsets.tolist(), strict=True)
            ]
            answers.append(in_batches(model, torch.cat(moved), batch_size).argmax(dim=1))
    pairs_of = itertools.product(first, second) if crossed else zip(first, second, strict=True)
    agreements = [one == other for one, other in pairs_of]
    hits = torch.stack(agreements, dim=1)
    pairs, share = hits.numel(), float(hits.double().mean())
    stderr = 100 * math.sqrt(share * (1 - share) / pairs)
    largest = max(-low, high)
    return ShiftConsistency(100 * share, stderr, pairs, worth(hits), largest, kind, seed)


@dataclass(frozen=True)
class ShiftSensitivity:
    """Change of an embedding under a shift, in units of the distance between images.

    Attributes:
        shifts: in pixels.
        values: one per shift; 0 = invariant, 1 = as different as another image.
        stderr: standard error of each value over images.
        kind: shift model.
        images: number of images, whose distances are the unit.
        counts: number of images that were shifted, for each shift.
    """

    shifts: tuple[float, ...]
    values: tuple[float, ...]
    stderr: tuple[float, ...]
    kind: str
    images: int
    counts: tuple[int, ...]

    @property
    def interval(self) -> tuple[Interval, ...]:
        """95 % interval of each value (Student), the distance between images taken as given."""
        figures = zip(self.values, self.stderr, self.counts, strict=True)
        return tuple(mean_interval(value, stderr, count) for value, stderr, count in figures)


def shift_sensitivity(
    embed: Model,
    images: Tensor,
    shifts: Sequence[float] = (0.5, 1, 2, 4, 8, 16),
    *,
    kind: str,
    crop_size: int | None = None,
    counts: Sequence[int] | None = None,
    batch_size: int = 128,
) -> ShiftSensitivity:
    """``‖f(T_s x) − f(x)‖`` over the mean distance between different images' embeddings.

    Each shift is taken once down and once to the right, and the two changes are averaged.

    Args:
        embed: images to embeddings (B, …), flattened.
        images: (N, C, H, W) with N at least 2, all different; for ``"crop"`` windows that hold
            the crop moved by the largest shift.
        shifts: in pixels. For ``"circular"`` a fraction of a pixel uses the Fourier shift.
        kind: shift model.
        crop_size: side of the crop in pixels, for ``"crop"``.
        counts: how many images to shift, for each shift: the first ones; all by default.
        batch_size: images at a time.

    Returns:
        A `ShiftSensitivity`, without unit.

    Raises:
        ValueError: fewer than two images, other counts than shifts, a count below 1 or above the
            number of images, or embeddings that are equal for all images.
    """
    check_choice("kind", kind, SHIFT_MODELS)
    check_callable("embed", embed)
    check_numbers("shifts", shifts, "a sequence of numbers of pixels")
    size = input_sides(images, crop_size, kind)
    if len(images) < 2:
        fail("images", "at least 2 (the unit is their distance)", len(images))
    base = in_batches(embed, center_crop(images, size), batch_size).flatten(1).double()
    unit = torch.pdist(base).mean()
    if unit <= 0:
        fail("embed", "embeddings that differ between images", "equal ones for all images")
    if counts is not None:
        check_numbers("counts", counts, f"one for each of {len(shifts)} shifts")
    numbers = tuple(counts) if counts is not None else (len(images),) * len(shifts)
    if len(numbers) != len(shifts):
        fail("counts", f"one for each of {len(shifts)} shifts", f"{len(numbers)} counts")
    values, errors = [], []
    for shift, count in zip(shifts, numbers, strict=True):
        if not isinstance(count, int) or not 1 <= count <= len(images):
            fail("counts", f"numbers from 1 to {len(images)}, the images", count)
        how = "subpixel" if kind == "circular" and shift != int(shift) else kind
        change = torch.zeros(count, dtype=torch.float64, device=base.device)
        for direction in ((shift, 0.0), (0.0, shift)):
            moved = in_batches(embed, shifted(images[:count], direction, how, size), batch_size)
            change += (moved.flatten(1).double() - base[:count]).norm(dim=1) / 2
        values.append(float(change.mean() / unit))
        errors.append(standard_error(change / unit))
    return ShiftSensitivity(tuple(shifts), tuple(values), tuple(errors), kind, len(images), numbers)


def token_change(before: Tensor, after: Tensor) -> Tensor:
    """Relative change of each token, after the best circular shift by whole tokens.

    So if tokens only move to other places of the grid, this counts as no change.

    Args:
        before: maps (B, D, h, w).
        after: the same, of the shifted images.

    Returns:
        (B, h, w), as a share of the root mean square norm of a token.

    Raises:
        ValueError: no floating maps, or two of different shapes.
    """
    check_grid(before, "before")
    check_grid(after, "after")
    if after.shape != before.shape:
        fail("after", f"shape {tuple(before.shape)}, that of before", tuple(after.shape))
    height, width = before.shape[-2:]
    scale = before.square().sum(1).mean(dim=(1, 2), keepdim=True).sqrt()
    scale = scale.clamp_min(torch.finfo(scale.dtype).tiny)
    rolls = [torch.roll(after, (i, j), (-2, -1)) for i in range(height) for j in range(width)]
    changes = torch.stack([(roll - before).norm(dim=1) / scale for roll in rolls])
    best = changes.mean(dim=(2, 3)).argmin(dim=0)
    return changes[best, torch.arange(len(before), device=before.device)]


@dataclass(frozen=True)
class TokenTurnover:
    """Share of tokens that a shift changes by more than a threshold.

    Attributes:
        percent: in [0, 100].
        stderr: standard error of `percent` over images.
        mean_change: mean relative change of a token, without unit.
        shift: in pixels, rows and columns.
        kind: shift model.
        tokens: number of tokens, of all images together.
        images: number of images.
    """

    percent: float
    stderr: float
    mean_change: float
    shift: tuple[float, float]
    kind: str
    tokens: int
    images: int

    @property
    def interval(self) -> Interval:
        """95 % interval of `percent` (Student: the tokens of an image are alike)."""
        low, high = mean_interval(self.percent, self.stderr, self.images)
        return max(low, 0.0), min(high, 100.0)


def token_turnover(
    tokenize: Model,
    images: Tensor,
    shift: tuple[float, float],
    *,
    kind: str,
    crop_size: int | None = None,
    threshold: float = 0.1,
    batch_size: int = 64,
) -> TokenTurnover:
    """Share of tokens that a shift changes, after the best shift by whole tokens (`token_change`).

    Args:
        tokenize: images to maps (B, D, h, w).
        images: (N, C, H, W), windows for ``"crop"``.
        shift: rows and columns in pixels.
        kind: shift model.
        crop_size: side of the crop in pixels, for ``"crop"``.
        threshold: relative change above which a token counts as changed; by default a tenth.
        batch_size: images at a time.

    Returns:
        A `TokenTurnover`, in percent.

    Raises:
        ValueError: an unknown shift model, or tokens that are no map.
    """
    check_choice("kind", kind, SHIFT_MODELS)
    check_callable("tokenize", tokenize)
    check_number("threshold", threshold, least=0)
    size = input_sides(images, crop_size, kind)
    before = in_batches(tokenize, center_crop(images, size), batch_size)
    if before.ndim != 4:
        fail("tokenize", "maps of shape (B, D, h, w)", f"shape {tuple(before.shape)}")
    after = in_batches(tokenize, shifted(images, shift, kind, size), batch_size)
    change = token_change(before, after)
    percents = 100 * (change > threshold).double().mean(dim=(1, 2))
    return TokenTurnover(
        float(percents.mean()),
        standard_error(percents),
        float(change.mean()),
        shift,
        kind,
        change.numel(),
        len(images),
    )
