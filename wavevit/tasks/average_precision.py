"""COCO's average precision of boxes, by pycocotools."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np

from wavevit.checks import require_extra
from wavevit.tasks.base import Results
from wavevit.tasks.boxes import areas

__all__ = ["average_precision"]


def average_precision(
    results: Results, classes: int, sides: tuple[float, float], most: int
) -> dict[str, float]:
    """Average precision over intersections of 0.50 to 0.95, in %, as COCO defines it.

    Args:
        results: by name, a list with one entry for each image: found ``boxes`` (n, 4), ``scores``
            (n,) and ``classes`` (n,); ``true_boxes`` (m, 4) and ``true_classes`` (m,).
        classes: number of classes.
        sides: boxes with an area below the square of the first are small, from the square of the
            second large (32 and 96 pixels in COCO).
        most: boxes of an image that count, those with the highest scores.

    Returns:
        ``AP``, ``AP50``, ``AP75``, ``AP_small``, ``AP_medium``, ``AP_large``; NaN where no true
        box is of that kind.

    Raises:
        ImportError: pycocotools is not installed; the message names the extra.
    """
    coco = require_extra("pycocotools.coco", "tasks")
    cocoeval = require_extra("pycocotools.cocoeval", "tasks")
    images = [{"id": i} for i in range(len(results["boxes"]))]
    categories = [{"id": i} for i in range(classes)]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        sets = []
        for boxes, labels, scores in (
            (results["true_boxes"], results["true_classes"], None),
            (results["boxes"], results["classes"], results["scores"]),
        ):
            held = coco.COCO()
            held.dataset = {
                "images": images,
                "categories": categories,
                "annotations": _annotations(boxes, labels, scores),
            }
            held.createIndex()
            sets.append(held)
        judge = cocoeval.COCOeval(*sets, iouType="bbox")
        small, large = (side**2 for side in sides)
        judge.params.areaRng = [[0, 1e10], [0, small], [small, large], [large, 1e10]]
        judge.params.areaRngLbl = ["all", "small", "medium", "large"]
        judge.params.maxDets = [most]
        judge.evaluate()
        judge.accumulate()
    # By threshold, recall, class, size, number of boxes; -1 where there is no true box.
    precision = judge.eval["precision"][..., 0]
    at = np.round(judge.params.iouThrs * 100).astype(int)
    return {
        "AP": _mean(precision[..., 0]),
        "AP50": _mean(precision[at == 50][..., 0]),
        "AP75": _mean(precision[at == 75][..., 0]),
        "AP_small": _mean(precision[..., 1]),
        "AP_medium": _mean(precision[..., 2]),
        "AP_large": _mean(precision[..., 3]),
    }


def _mean(precision: Any) -> float:
    known = precision[precision > -1]
    return 100 * float(known.mean()) if known.size else math.nan


def _annotations(boxes: list[Any], classes: list[Any], scores: list[Any] | None) -> list[Any]:
    found: list[dict[str, Any]] = []
    for image, own in enumerate(boxes):
        own = own.detach()
        sizes = areas(own).tolist()
        for index, (left, top, right, bottom) in enumerate(own.tolist()):
            entry = {
                # pycocotools takes the number 0 for "no match".
                "id": len(found) + 1,
                "image_id": image,
                "category_id": classes[image][index].tolist(),
                "bbox": [left, top, right - left, bottom - top],
                "area": sizes[index],
                "iscrowd": 0,
            }
            if scores is not None:
                entry["score"] = scores[image][index].tolist()
            found.append(entry)
    return found
