"""Boxes: checks, overlaps, GIoU loss, non-maximum suppression.

A box is (left, top, right, bottom) in pixels; the first pixel covers 0 to 1. So a box has the exact
extents of a mask when it ends behind the mask's last pixel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.checks import fail

__all__ = ["areas", "box_iou", "check_boxes", "giou_loss", "nms"]


def check_boxes(boxes: Any, size: tuple[int, int]) -> None:
    """Checks that boxes are inside their pictures.

    Args:
        boxes: what a batch has under ``"boxes"``: a list of (n, 4) for each image.
        size: (H, W) of the images.

    Raises:
        ValueError: names the image; another type or shape, NaN, an empty box or one outside.
    """
    if not isinstance(boxes, list | tuple):
        fail("batch['boxes']", "a list of tensors (n, 4), one for each image", type(boxes).__name__)
    height, width = size
    for index, own in enumerate(boxes):
        name = f"batch['boxes'][{index}]"
        if not isinstance(own, Tensor) or not own.is_floating_point():
            kind = own.dtype if isinstance(own, Tensor) else type(own).__name__
            fail(name, "a floating tensor (n, 4)", kind)
        if own.ndim != 2 or own.shape[1] != 4:
            fail(name, "shape (n, 4)", tuple(own.shape))
        if not own.isfinite().all():
            fail(name, "finite numbers", "NaN or infinity")
        low, high = own[:, :2], own[:, 2:]
        for bad, expected in (
            ((high <= low).any(1), "left < right and top < bottom"),
            ((low < 0).any(1) | (high > high.new_tensor([width, height])).any(1), "boxes inside"),
        ):
            if bad.any():
                picture = f"{expected} the picture" if expected == "boxes inside" else expected
                fail(name, f"{picture} of {width} x {height} pixels", own[bad][0].tolist())


def areas(boxes: Tensor) -> Tensor:
    """Areas (n,) of boxes (n, 4)."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of all pairs.

    Args:
        first: (n, 4).
        second: (m, 4).

    Returns:
        (n, m), 0 where both boxes are empty.
    """
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    common = areas(torch.cat([low, high], dim=-1))
    union = areas(first)[:, None] + areas(second)[None] - common
    return torch.where(union > 0, common / union.clamp(min=1e-12), 0.0)


def giou_loss(first: Tensor, second: Tensor) -> Tensor:
    """1 - generalised intersection over union of pairs of boxes, in [0, 2].

    Args:
        first: (n, 4).
        second: (n, 4).

    Returns:
        (n,).

    Source:
        Rezatofighi et al. 2019, "Generalized Intersection over Union".
    """
    common = areas(
        torch.cat(
            [
                torch.maximum(first[:, :2], second[:, :2]),
                torch.minimum(first[:, 2:], second[:, 2:]),
            ],
            dim=1,
        )
    )
    around = areas(
        torch.cat(
            [
                torch.minimum(first[:, :2], second[:, :2]),
                torch.maximum(first[:, 2:], second[:, 2:]),
            ],
            dim=1,
        )
    )
    union = areas(first) + areas(second) - common
    tiny = 1e-7
    return 1 - common / union.clamp(min=tiny) + (around - union) / around.clamp(min=tiny)


def nms(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression in each class.

    A box is dropped if it overlaps a kept box of its class that has a higher score by more than
    `threshold`. Of boxes with equal scores the earlier one is kept.

    Args:
        boxes: (n, 4).
        scores: (n,).
        classes: (n,).
        threshold: intersection over union, from 0 to 1.

    Returns:
        Indices of the kept boxes, highest score first.
    """
    order = scores.argsort(descending=True, stable=True)
    clash = box_iou(boxes[order], boxes[order]) > threshold
    clash &= classes[order, None] == classes[None, order]
    clash = clash.cpu()  # the loop reads it row by row
    kept = torch.ones(len(order), dtype=torch.bool)
    for index in range(len(order)):
        if kept[index]:
            kept[index + 1 :] &= ~clash[index, index + 1 :]
    return order[kept.to(order.device)]
