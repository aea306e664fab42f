"""From the answers of all cells to the boxes of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.tasks.boxes import nms
from wavevit.tasks.detection_head import CellAnswers

__all__ = ["best_boxes"]

_LEAST_SCORE = 0.05  # of a box that is answered at all
_CANDIDATES = 300  # of an image, before non-maximum suppression


def best_boxes(
    found: CellAnswers, size: tuple[int, int], threshold: float, most: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The boxes that a detector answers with.

    Args:
        found: answers of all cells.
        size: (H, W) of the images; boxes are clipped to it.
        threshold: of `nms`.
        most: boxes of an image.

    Returns:
        For each image, by falling score: boxes (n, 4), scores (n,) and classes (n,).
    """
    # Both are probabilities: their geometric mean ranks a box.
    scores = (found.logits.sigmoid() * found.quality.sigmoid()[..., None]).sqrt()
    limits = (size[1], size[0]) * 2
    sides = found.boxes().unbind(-1)
    boxes = torch.stack(
        [side.clamp(0, limit) for side, limit in zip(sides, limits, strict=True)], dim=-1
    )
    return [_best(*own, threshold, most) for own in zip(boxes, scores, strict=True)]


def _best(
    boxes: Tensor, scores: Tensor, threshold: float, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    ranked, order = scores.flatten().sort(descending=True, stable=True)
    order = order[:_CANDIDATES][ranked[:_CANDIDATES] > _LEAST_SCORE]
    best, classes = scores.flatten()[order], order % scores.shape[1]
    candidates = boxes[order.div(scores.shape[1], rounding_mode="floor")]
    kept = nms(candidates, best, classes, threshold)[:most]
    return candidates[kept], best[kept], classes[kept]
