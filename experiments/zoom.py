"""Top-1 under zoom: the same place of a photograph, seen from nearer and from farther away.

Pixels are real where the photograph has them: a view is cut from the photograph at up to twice the
resolution that models are trained on, and reduced. Where the original is no finer, coming nearer
enlarges and brings no detail; the share of such classes is told.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from experiments.config import DataConfig
from wavevit.checks import check_at_least
from wavevit.data import Scenes
from wavevit.measure.evaluation import in_batches
from wavevit.measure.scale import zoomed
from wavevit.models import Backbone

__all__ = ["ZOOMS", "zoom_accuracy", "zoom_views"]

ZOOMS = (0.5, 0.71, 1.0, 1.41, 2.0)
_FINER = 2


def zoom_views(
    data: DataConfig, count: int, zooms: tuple[float, ...] = ZOOMS
) -> tuple[dict[float, Tensor], Tensor, Tensor]:
    """Views of the held-out part under each zoom, all of the same places.

    A place is the middle of a window that the farthest view fills, drawn uniformly; each view is
    normalised by itself, as a test crop is.

    Args:
        data: says which part, crop size and resolution (of zoom 1).
        count: number of places, classes in equal shares.
        zooms: factors; 2 shows half of the crop's side.

    Returns:
        Zoom to views (count, 1, S, S); labels (count,); how many times finer than at zoom 1 the
        photograph of each class is, from 1 to 2.

    Raises:
        ValueError: the farthest view does not fit the held-out part of a photograph.
    """
    check_at_least("count", count, 1)
    size, farthest = data.crop_size, round(data.crop_size / min(zooms))
    coarse = Scenes(data.held_out, farthest, max_short_side=data.max_short_side)
    single = Scenes(data.held_out, size, max_short_side=data.max_short_side)
    fine = Scenes(data.held_out, size, max_short_side=_FINER * data.max_short_side)
    ratios = torch.tensor(
        [
            min(fine.photograph(c).shape) / min(coarse.photograph(c).shape)
            for c in range(len(coarse.classes))
        ]
    )
    generator = torch.Generator().manual_seed(data.seed)
    labels = torch.cat(
        [
            torch.randperm(len(coarse.classes), generator=generator)
            for _ in range(-(-count // len(coarse.classes)))
        ]
    )[:count]
    places = torch.rand(count, 2, generator=generator)
    views: dict[float, list[Tensor]] = {zoom: [] for zoom in zooms}
    for label, place in zip(labels.tolist(), places.tolist(), strict=True):
        ratio = float(ratios[label])
        top, bottom, left, right = fine.region(label)
        side = min(round(farthest * ratio), bottom - top, right - left)
        row = top + int(place[0] * (bottom - top - side + 1))
        column = left + int(place[1] * (right - left - side + 1))
        window = fine.photograph(label)[row : row + side, column : column + side][None, None]
        for zoom in zooms:
            # The window may be a pixel short of the farthest view where halves were rounded.
            views[zoom].append(zoomed(window, max(zoom / ratio, size / side), size))
    stacked = {zoom: single.normalized(torch.cat(images)) for zoom, images in views.items()}
    return stacked, labels, ratios


def zoom_accuracy(model: Backbone, data: DataConfig, device: torch.device) -> dict[str, Any]:
    """Top-1 at each zoom, and the share of that at zoom 1 which is left, on half as many places as
    there are test crops.

    Returns:
        Plain data: ``top1`` by zoom and ``kept`` (the mean over the zooms but 1, as a share of zoom
        1's top-1), both in %; ``places``; ``finer``: number of classes whose photograph is finer
        than at zoom 1.
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
        "finer": int((ratios > 1).sum()),
    }
