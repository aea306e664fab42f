"""Box jitter: how boxes move when the crop moves."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.tasks.boxes import box_iou

__all__ = ["box_jitter"]


def box_jitter(
    first: tuple[Tensor, Tensor],
    second: tuple[Tensor, Tensor],
    shift: tuple[int, int],
    size: tuple[int, int],
    least_iou: float = 0.5,
) -> tuple[float, float]:
    """Compares the boxes of a crop with those of the crop that starts `shift` pixels from it.

    Both lists are brought to the first crop's coordinates, and boxes of one class are paired one to
    one, largest intersection over union first. Only boxes that at least one pixel separates from
    the border of the common part count: others are cut off in one of the crops, so they may differ.

    Args:
        first: boxes (n, 4) and classes (n,).
        second: the same for the other crop, in its own coordinates.
        shift: in pixels (down, right).
        size: (H, W) of the crops.
        least_iou: of a pair.

    Returns:
        Mean distance of the upper left and lower right corners in the pairs, in pixels (NaN without
        a pair), and the share of boxes without a partner in % (NaN without boxes).
    """
    (boxes, classes), (others, other_classes) = first, second
    down, right = shift
    boxes, others = boxes.detach(), others.detach()
    others = others + others.new_tensor([right, down, right, down])
    bounds = boxes.new_tensor(
        [max(right, 0), max(down, 0), size[1] + min(right, 0), size[0] + min(down, 0)]
    )
    counted, others_counted = _inside(boxes, bounds), _inside(others, bounds)
    overlaps = box_iou(boxes, others)
    overlaps = torch.where(classes[:, None] == other_classes[None], overlaps, 0.0)
    distances: list[float] = []
    partners = 0
    while overlaps.numel():
        best = int(overlaps.argmax())
        i, j = divmod(best, overlaps.shape[1])
        if float(overlaps[i, j]) < least_iou:
            break
        overlaps[i], overlaps[:, j] = -1.0, -1.0
        counting = int(counted[i]) + int(others_counted[j])
        if counting:
            corners = (boxes[i] - others[j]).reshape(2, 2).double()
            distances.append(float(corners.norm(dim=1).mean()))
            partners += counting
    every = int(counted.sum() + others_counted.sum())
    jitter = sum(distances) / len(distances) if distances else float("nan")
    return jitter, 100 * (1 - partners / every) if every else float("nan")


def _inside(boxes: Tensor, bounds: Tensor) -> Tensor:
    low, high = boxes[:, :2] >= bounds[:2] + 1, boxes[:, 2:] <= bounds[2:] - 1
    return low.all(1) & high.all(1)
