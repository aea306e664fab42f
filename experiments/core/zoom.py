"""Top-1 under zoom: the same place of a photograph, seen from nearer and from farther away.

Pixels are real where the photograph has them: a view is cut from the photograph at up to twice the
resolution that models are trained on, and reduced. Where the original is no finer, coming nearer
enlarges and brings no detail; the share of such classes is told.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.sources import scenes_of
from wavevit.checks import check_at_least, fail
from wavevit.measure.evaluation import in_batches
from wavevit.measure.scale import zoomed
from wavevit.models import Backbone

ZOOMS = (0.5, 0.71, 1.0, 1.41, 2.0)
_FINER = 2


def _wide_enough(data: DataConfig, side: int) -> tuple[int, ...]:
    """Classes whose held-out part holds a window of that side."""
    scenes = scenes_of(data, data.held_out, crop_size=1)
    parts = [scenes.region(label) for label in range(len(scenes.classes))]
    return tuple(
        label
        for label, (top, bottom, left, right) in enumerate(parts)
        if min(bottom - top, right - left) >= side
    )


def zoom_views(
    data: DataConfig, count: int, zooms: tuple[float, ...] = ZOOMS
) -> tuple[dict[float, Tensor], Tensor, Tensor]:
    """Views of the held-out part under each zoom, all of the same places.

    A place is the middle of a window that the farthest view fills, drawn uniformly; each view is
    normalised by itself, as a test crop is. Photographs whose held-out part is smaller than that
    window are left out.

    Args:
        data: says which part, crop size and resolution (of zoom 1).
        count: number of places, classes in equal shares.
        zooms: factors; 2 shows half of the crop's side.

    Returns:
        Zoom to views (count, 1, S, S); labels (count,); how many times finer than at zoom 1 the
        photograph of each place is, (count,), from 1 to 2.

    Raises:
        ValueError: the farthest view fits no held-out part.
    """
    check_at_least("count", count, 1)
    size, farthest = data.crop_size, round(data.crop_size / min(zooms))
    classes = _wide_enough(data, farthest)
    if not classes:
        fail("zooms", "views that fit the held-out part of a photograph", f"{farthest} pixels")
    coarse = scenes_of(data, data.held_out)
    fine = scenes_of(data, data.held_out, max_short_side=_FINER * data.max_short_side)
    generator = torch.Generator().manual_seed(data.seed)
    rounds = -(-count // len(classes))
    orders = [torch.randperm(len(classes), generator=generator) for _ in range(rounds)]
    labels = torch.tensor(classes)[torch.cat(orders)[:count]]
    places = torch.rand(count, 2, generator=generator)
    views: dict[float, list[Tensor]] = {zoom: [] for zoom in zooms}
    ratios = []
    for label, place in zip(labels.tolist(), places.tolist(), strict=True):
        photograph = fine.photograph(label)
        ratio = min(photograph.shape) / min(coarse.photograph(label).shape)
        top, bottom, left, right = fine.region(label)
        side = min(round(farthest * ratio), bottom - top, right - left)
        row = top + int(place[0] * (bottom - top - side + 1))
        column = left + int(place[1] * (right - left - side + 1))
        window = photograph[row : row + side, column : column + side][None, None]
        for zoom in zooms:
            # The window may be a pixel short of the farthest view where halves were rounded.
            views[zoom].append(zoomed(window, max(zoom / ratio, size / side), size))
        ratios.append(ratio)
    stacked = {zoom: coarse.normalized(torch.cat(images)) for zoom, images in views.items()}
    return stacked, labels, torch.tensor(ratios)


def zoom_accuracy(model: Backbone, data: DataConfig, device: torch.device) -> dict[str, Any]:
    """Top-1 at each zoom, and the share of that at zoom 1 which is left, on half as many places as
    there are test crops.

    Returns:
        Plain data: ``top1`` by zoom and ``kept`` (the mean over the zooms but 1, as a share of zoom
        1's top-1), both in %; ``places``; ``classes`` among them; ``finer``: how many of these have
        a photograph that is finer than at zoom 1.
    """
    views, labels, ratios = zoom_views(data, data.test_crops // 2)
    top1 = {}
    for zoom, images in views.items():
        answers = in_batches(model, images.to(device), 128).argmax(dim=1).cpu()
        top1[f"{zoom:g}"] = 100 * float((answers == labels).double().mean())
    others = [value for zoom, value in top1.items() if zoom != "1"]
    return {
        "top1": top1,
        "kept": 100 * sum(others) / len(others) / top1["1"] if top1["1"] else 0.0,
        "places": len(labels),
        "classes": len(labels.unique()),
        "finer": len(labels[ratios > 1].unique()),
    }
