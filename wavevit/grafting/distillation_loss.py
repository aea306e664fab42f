"""Loss of a distillation, and its evaluation on held-out windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_callable, check_image, check_pair, fail
from wavevit.grafting.pooled import pooled_and_tokens, pooled_features
from wavevit.grafting.windows import crop_at, crops_at, shift_offsets
from wavevit.measure import shift_sensitivity
from wavevit.measure.evaluation import in_batches

__all__ = ["JUDGED_SEEDS", "Features", "Judged", "Objective", "Target", "shift_averaged"]

Features = Callable[[nn.Module, Tensor], Tensor]

_JUDGED_BATCH = 16  # windows that have the same shifts when they are judged
JUDGED_SEEDS = 2**40  # apart from those of training


def shift_averaged(
    model: nn.Module,
    windows: Tensor,
    offsets: Sequence[tuple[int, int]],
    crop_size: int,
    features: Features = pooled_features,
) -> Tensor:
    """Mean of a model's features over crops of windows, (B, D).

    Args:
        model: images to an output.
        windows: (B, C, W, W), large enough for all offsets.
        offsets: of the crops from the middle, in pixels.
        crop_size: side of the crops in pixels.
        features: from the model and images to (B, D).

    Raises:
        ValueError: windows of another rank, no offsets, or crops that leave the windows.
    """
    check_callable("model", model)
    check_image(windows, "windows")
    check_at_least("crop_size", crop_size, 1)
    if not isinstance(offsets, Sequence) or isinstance(offsets, str) or not offsets:
        fail("offsets", "a sequence of pairs (rows, columns) in pixels", repr(offsets))
    for index, offset in enumerate(offsets):
        name, words = f"offsets[{index}]", "whole pixels (rows, columns)"
        check_pair(name, offset, words)
        for side, step in zip(windows.shape[-2:], offset, strict=True):
            if not 0 <= (side - crop_size) // 2 + step <= side - crop_size:
                expected = f"a crop of {crop_size} pixels inside windows of {side}"
                fail(name, expected, repr(offset))
    first, *others = offsets
    total = features(model, crop_at(windows, first, crop_size))
    for offset in others:
        total = total + features(model, crop_at(windows, offset, crop_size))
    return total / len(offsets)


class Target(NamedTuple):
    """Features of a batch of images, or what they should be.

    Attributes:
        pooled: (B, D).
        tokens: in the model's own layout; None where they do not count.
    """

    pooled: Tensor
    tokens: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """The loss of a batch of windows. All shifts are drawn for each window on its own.

    Attributes:
        teacher: the frozen model.
        features: from a model and images to (B, D).
        crop_size: side of the models' input in pixels.
        shifts: crops of a window whose features are averaged.
        span: shifts go over ``span x span`` pixels.
        keep: weight of the teacher's features of the crop that the model sees.
        still: weight of the change of the model's features when its crop moves by one pixel.
        tokens: weight of the same loss of each token, beside that of the pooled features.
        unit: what the loss is divided by.
        token_unit: the same for the loss of the tokens.
    """

    teacher: nn.Module
    features: Features
    crop_size: int
    shifts: int
    span: int
    keep: float
    still: float = 0.0
    tokens: float = 0.0
    unit: float = 1.0
    token_unit: float = 1.0

    def seen(self, model: nn.Module, crops: Tensor) -> Target:
        """Features of a model that the loss compares."""
        if self.tokens:
            return Target(*pooled_and_tokens(model, crops))
        return Target(self.features(model, crops))

    def in_units_of(self, windows: Tensor) -> Self:
        """The same objective, with losses in units of the spread of the teacher's features."""
        crops = crop_at(windows, (0, 0), self.crop_size)
        with torch.no_grad():
            parts = [self.seen(self.teacher, part) for part in crops.split(_JUDGED_BATCH)]
        pooled = torch.cat([part.pooled for part in parts])
        if pooled.ndim != 2:
            fail("features", "one vector (D,) for each image", f"shape {tuple(pooled.shape[1:])}")
        unit = _spread(pooled)
        tokens = [part.tokens for part in parts if part.tokens is not None]
        return replace(self, unit=unit, token_unit=_spread(torch.cat(tokens)) if tokens else 1.0)

    def target(self, windows: Tensor, generator: torch.Generator) -> Target:
        """The teacher's features averaged over shifts; of tokens those of one place of the grid."""
        # Neighbours of the sequence are spread best, so a window has neighbours.
        drawn = shift_offsets(self.shifts * len(windows), self.span, generator)
        with torch.no_grad():
            parts = [
                self.seen(
                    self.teacher, crops_at(windows, drawn[first :: self.shifts], self.crop_size)
                )
                for first in range(self.shifts)
            ]
        pooled = torch.stack([part.pooled for part in parts]).mean(dim=0)
        tokens = [part.tokens for part in parts if part.tokens is not None]
        return Target(pooled, torch.stack(tokens).mean(dim=0) if tokens else None)

    def loss(
        self, model: nn.Module, windows: Tensor, target: Target, generator: torch.Generator
    ) -> Tensor:
        """Of a model that sees one crop of each window, or two with `still`."""
        offsets = shift_offsets(len(windows), self.span, generator)
        crops = crops_at(windows, offsets, self.crop_size)
        found, beside, own = self.seen(model, crops), None, None
        if self.still:
            moved = crops_at(windows, _beside(offsets, generator), self.crop_size)
            beside = self.seen(model, moved)
        if self.keep:
            with torch.no_grad():
                own = self.seen(self.teacher, crops)

        def part(field: str) -> Tensor:
            others = (None if one is None else getattr(one, field) for one in (beside, own))
            return self._compared(getattr(found, field), getattr(target, field), *others)

        loss = part("pooled") / self.unit
        return loss + self.tokens * part("tokens") / self.token_unit if self.tokens else loss

    def _compared(
        self, found: Tensor, target: Tensor, beside: Tensor | None, own: Tensor | None
    ) -> Tensor:
        """The three terms, of pooled features or of tokens."""
        loss = F.mse_loss(found, target)
        if beside is not None:
            loss = (loss + F.mse_loss(beside, target)) / 2 + self.still * F.mse_loss(found, beside)
        return loss if own is None else loss + self.keep * F.mse_loss(found, own)


def _beside(
    offsets: Sequence[tuple[int, int]], generator: torch.Generator
) -> list[tuple[int, int]]:
    """Each offset one pixel nearer to the middle, on a random axis: inside its window."""
    axes = torch.randint(2, (len(offsets),), generator=generator).tolist()

    def moved(offset: int) -> int:
        return offset - 1 if offset > 0 else offset + 1

    pairs = zip(offsets, axes, strict=True)
    return [(row, moved(column)) if axis else (moved(row), column) for (row, column), axis in pairs]


class Judged:
    """Held-out windows with their targets, and what is measured on them."""

    def __init__(self, objective: Objective, windows: Tensor) -> None:
        self.objective, self.windows = objective, windows
        self.parts = [
            (batch, objective.target(batch, torch.Generator().manual_seed(index)))
            for index, batch in enumerate(windows.split(_JUDGED_BATCH))
        ]

    def loss(self, model: nn.Module) -> float:
        """Mean loss, each part of the windows with one shift."""
        total = 0.0
        with torch.no_grad():
            for index, (batch, target) in enumerate(self.parts):
                generator = torch.Generator().manual_seed(JUDGED_SEEDS + index)
                total += len(batch) * float(self.objective.loss(model, batch, target, generator))
        return total / len(self.windows)

    def figures(self, model: nn.Module) -> tuple[float, float]:
        """R for one pixel, and the cosine to the teacher's average over shifts."""
        size, features = self.objective.crop_size, self.objective.features
        sensitivity = shift_sensitivity(
            lambda x: features(model, x),
            self.windows,
            (1,),
            kind="crop",
            crop_size=size,
            batch_size=_JUDGED_BATCH,
        )
        crops = crop_at(self.windows, (0, 0), size)
        found = in_batches(lambda x: features(model, x), crops, _JUDGED_BATCH)
        targets = torch.cat([target.pooled for _, target in self.parts])
        if found.shape != targets.shape:
            expected = f"as many features as the teacher's {targets.shape[1]}"
            fail("model", expected, found.shape[1])
        return sensitivity.values[0], float(F.cosine_similarity(found, targets).mean())


def _spread(features: Tensor) -> float:
    """Mean square of the teacher's features around their mean: the scale of the loss."""
    found = features.double()
    spread = float((found - found.mean(0)).square().mean())
    if not spread > 0 or not math.isfinite(spread):
        fail("teacher", "features that are finite and differ between photographs", f"{spread=}")
    return spread
