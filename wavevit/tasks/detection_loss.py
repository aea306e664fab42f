"""Losses of a detector: focal loss of classes, GIoU of boxes, cross-entropy of centre-ness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.tasks.boxes import giou_loss
from wavevit.tasks.detection_head import CellAnswers
from wavevit.tasks.detection_targets import assign
from wavevit.tasks.gathering import mean_over_ranks, rank_and_world, sum_over_ranks

__all__ = ["detection_losses", "focal_loss"]

_FOCUS, _BALANCE = 2.0, 0.25  # gamma and alpha of the focal loss


def detection_losses(
    found: CellAnswers, boxes: Sequence[Tensor], labels: Sequence[Tensor], reach: float
) -> tuple[dict[str, Tensor], Tensor]:
    """The losses of FCOS for a batch.

    Args:
        found: answers of all cells.
        boxes: for each image (n, 4).
        labels: for each image (n,).
        reach: see `wavevit.tasks.detection_targets.assign`.

    Returns:
        ``classes``, ``boxes`` (weighted by the centre-ness of the cells) and ``centerness``, per
        cell that learns a box on any rank; and the number of such cells in an image of this rank.
    """
    targets = torch.zeros_like(found.logits)
    owned, wanted, quality = [], [], []
    for index, (raw, classes) in enumerate(zip(boxes, labels, strict=True)):
        own = raw.to(found.points)
        assigned = assign(own, found.points, found.strides, reach)
        cells = (assigned.owner >= 0).nonzero()[:, 0]
        owner = assigned.owner[cells]
        targets[index, cells, classes.long()[owner]] = 1.0
        owned.append(index * len(found.points) + cells)
        wanted.append(own[owner])
        quality.append(assigned.quality[cells])
    cells, truth, rank = torch.cat(owned), torch.cat(wanted), torch.cat(quality)
    # Means over the cells of all ranks: one rank may have few of them, or none. Gradients of the
    # ranks are averaged.
    world = rank_and_world()[1]
    sums = sum_over_ranks(torch.stack([rank.new_tensor(float(len(cells))), rank.sum()]))
    count, weight = sums[0].clamp(min=1) / world, sums[1].clamp(min=1e-6) / world
    # Without cells these are sums over nothing: 0, with gradients of 0 for all parameters.
    apart = giou_loss(found.boxes().flatten(0, 1)[cells], truth)
    ranks = F.binary_cross_entropy_with_logits(
        found.quality.flatten()[cells], rank, reduction="sum"
    )
    parts = {
        "classes": focal_loss(found.logits, targets) / count,
        "boxes": (rank * apart).sum() / weight,
        "centerness": ranks / count,
    }
    parts = {name: mean_over_ranks(part) for name, part in parts.items()}
    return parts, found.points.new_tensor(len(cells) / len(targets))


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the focal loss over all entries.

    Args:
        logits: any shape.
        targets: the same shape, 0 or 1.

    Source:
        Lin et al. 2017, "Focal Loss for Dense Object Detection".
    """
    share = logits.sigmoid()
    plain = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    right = share * targets + (1 - share) * (1 - targets)
    balance = _BALANCE * targets + (1 - _BALANCE) * (1 - targets)
    return (balance * (1 - right) ** _FOCUS * plain).sum()
