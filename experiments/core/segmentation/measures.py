"""Measures of a trained segmentation task, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.config import DataConfig
from experiments.core.crop_shifts import DIRECTIONS, SHIFTS
from experiments.core.segmentation.composites import held_out_composites
from wavevit.checks import check_choice, fail
from wavevit.measure import cost, shifted
from wavevit.measure.evaluation import in_batches
from wavevit.tasks import Segmentation, pixel_metrics
from wavevit.tasks.overlap import overlap
from wavevit.tasks.pixel_metrics import border_shift, confusion, edge_band

__all__ = [
    "MEASURES",
    "Logits",
    "answers_of",
    "edge_band",
    "evaluate",
    "further",
    "mean_iou",
]


def mean_iou(answers: Tensor, labels: Tensor, classes: int) -> float:
    """Intersection over union of each class, all pixels of all images together; mean over the
    classes that occur in answers or labels, in [0, 1]."""
    return pixel_metrics.mean_iou(confusion(answers, labels, classes).sum(0).double())


class Logits(nn.Module):
    """A segmentation task as a module from images to logits, for measures of cost and time."""

    def __init__(self, task: Segmentation) -> None:
        super().__init__()
        self.task = task

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes, H, W)."""
        return self.task.logits(x)


def answers_of(task: Segmentation, images: Tensor) -> Tensor:
    """The class of every pixel (N, S, S)."""
    return in_batches(Logits(task), images, 64).argmax(dim=1)


def mask_jitter(task: Segmentation, data: DataConfig, device: torch.device) -> dict[str, float]:
    """How far the borders between classes move beside the image when the crop moves, in pixels.

    Returns:
        By shift in pixels, the mean of `border_shift` over composites and the four directions.
        Pairs of answers that differ without a border in either have no such distance; they are
        left out.

    Raises:
        ValueError: no pair of answers with a border.
    """
    scenes, batch = held_out_composites(data, device)
    windows = batch.images[: data.measured_crops]
    still, size = answers_of(task, scenes.center(windows)), (data.crop_size, data.crop_size)
    found = {}
    for pixels in (s for s in SHIFTS if s <= data.margin):
        distances = []
        for down, right in DIRECTIONS:
            shift = (pixels * down, pixels * right)
            # The content moves against the crop.
            moved = shifted(windows, (-shift[0], -shift[1]), "crop", size)
            distances.append(border_shift(*overlap(still, answers_of(task, moved), shift)))
        every = torch.cat(distances)
        known = every[~every.isnan()]
        if not len(known):
            fail("task", "answers with a border between classes", f"none at {pixels} px")
        found[str(pixels)] = float(known.mean())
    return found


#: What can be measured beside the standard, by name.
MEASURES: dict[str, Callable[[Segmentation, DataConfig, torch.device], dict[str, float]]] = {
    "mask_jitter": mask_jitter
}


def evaluate(
    task: Segmentation, data: DataConfig, device: torch.device, measures: Sequence[str] = ()
) -> dict[str, Any]:
    """All measures of a trained segmentation task on the held-out composites.

    Returns:
        Plain data, ready for JSON. Percentages: ``miou``; ``pixels`` that are right, all and within
        4 pixels of a border; ``kept``: by shift, those which keep their class when the crop moves
        to the right by so many pixels, of the pixels that are in both crops. Measures of `MEASURES`
        that are asked for, by name.

    Raises:
        ValueError: `measures` names another one than those of `MEASURES`.
    """
    others = further(task, data, device, measures)
    scenes, batch = held_out_composites(data, device)
    crops, labels = scenes.center(batch.images), scenes.center(batch.labels)
    answers = answers_of(task, crops)
    right, near = answers == labels, edge_band(labels)
    kept = {}
    for shift in (s for s in SHIFTS if s <= data.margin):
        # The content moves to the left when the crop moves to the right.
        moved = shifted(batch.images, (0, -shift), "crop", (data.crop_size, data.crop_size))
        same = answers_of(task, moved)[..., :-shift] == answers[..., shift:]
        kept[str(shift)] = 100 * float(same.double().mean())
    return {
        "miou": 100 * mean_iou(answers, labels, len(scenes.classes)),
        "pixels": {
            "all": 100 * float(right.double().mean()),
            "edges": 100 * float(right[near].double().mean()),
            "edge_share": 100 * float(near.double().mean()),
        },
        "kept": kept,
        "test_composites": len(crops),
        "cost": asdict(cost(Logits(task), crops[:1])),
        **others,
    }


def further(
    task: Segmentation, data: DataConfig, device: torch.device, measures: Sequence[str]
) -> dict[str, Any]:
    """The measures of these names alone.

    Raises:
        ValueError: `measures` names another one than those of `MEASURES`.
    """
    for name in measures:
        check_choice("measures", name, MEASURES)
    return {name: MEASURES[name](task, data, device) for name in measures}
