"""How far does attention reach, layer by layer? (claim C12)

Trained models of study `backbones`: the mean attention distance of every layer, and the receptive
field behind every block or stage.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from experiments.core.measurement import Measurement
from experiments.measurements.samples import CROP, mean_over, photographs
from experiments.measurements.subjects import SEEDS, state, trained
from wavevit.measure import attention_distance, receptive_field
from wavevit.measure.shifting import center_crop
from wavevit.progress import in_steps

SUBJECTS = ("vit", "swin", "pvt_v2", "haar_vit", "haar_pyramid", "dtcwt_pyramid")


def uniform_distance(side: int, stride: int) -> float:
    """Mean distance in pixels of two cells of a grid: what attention to all alike would show."""
    places = torch.arange(stride / 2, side, stride, dtype=torch.float64)
    grid = torch.cartesian_prod(places, places)
    return float(torch.cdist(grid, grid).mean())


def measure(runs: Path, crops: int = 1) -> dict[str, Any]:
    """By subject: distance by layer and photograph, extent and radius by depth, all in pixels."""
    scenes, batch = photographs(crops)
    images = center_crop(batch.images, (CROP, CROP))
    groups = [images[batch.labels == label] for label in range(len(scenes.classes))]
    found: dict[str, Any] = {}
    for name in in_steps(SUBJECTS):
        distances, fields = [], []
        for seed in SEEDS:
            model = trained(runs, name, seed)
            seen = [attention_distance(model, group).pixels for group in groups]
            # (layers, photographs): mean over a layer's heads.
            distances.append([[fmean(p[i]) for p in seen] for i in range(len(seen[0]))])
            fields.append(
                [
                    receptive_field(partial(state, model, index=index), images)
                    for index in range(-1, len(model.feature_info))
                ]
            )
        found[name] = {
            "distance": [mean_over(layer) for layer in zip(*distances, strict=True)],
            "extent": [max(f.extent[0] for f in depth) for depth in zip(*fields, strict=True)],
            "radius": [fmean(f.radius for f in depth) for depth in zip(*fields, strict=True)],
        }
    return {
        "photographs": list(scenes.classes),
        "seeds": list(SEEDS),
        "side": CROP,
        "uniform": uniform_distance(CROP, 8),
        "subjects": found,
    }


MEASUREMENT = Measurement(
    name="attention",
    question="How far does attention reach, layer by layer?",
    measure=measure,
)
