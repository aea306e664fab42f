"""The picture of a segmentation study: composites, and where each model is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.levels import decode_levels, encode_levels
from experiments.core.segmentation.composites import held_out_composites
from experiments.core.segmentation.measures import answers_of
from experiments.core.style import bare
from wavevit.tasks import Segmentation

ABOUT_COMPOSITES = (
    "Held-out composites, the same for all models (first seed). Blue and yellow: right pixels of "
    "the first and of the second photograph. Red: pixels with the class of the other photograph. "
    "Black: pixels with the class of a photograph that is not in the picture."
)
_COLUMNS = 6
# Right for the first and the second photograph; the other one's class; a third class.
_COLOURS = np.array([to_rgb(c) for c in ("#4c78a8", "#eeca3b", "#d62728", "#111")])


def _composites(data: DataConfig) -> tuple[Tensor, Tensor]:
    """Images and labels of the picture."""
    scenes, batch = held_out_composites(data, torch.device("cpu"))
    return scenes.center(batch.images[:_COLUMNS]), scenes.center(batch.labels[:_COLUMNS])


def _outcomes(answers: Tensor, labels: Tensor) -> np.ndarray:
    """Which of the colours each pixel has, (N, S, S) uint8."""
    found = []
    for answer, label in zip(answers, labels, strict=True):
        both = label.unique()
        wrong = torch.where(torch.isin(answer, both), 2, 3)
        found.append(torch.where(answer == label, (label != both[0]).long(), wrong))
    return torch.stack(found).byte().numpy()


def record_answers(models: Mapping[str, Segmentation], data: DataConfig) -> dict[str, Any]:
    """Where each model is right on the first composites: plain data, levels 0 to 3 as in the
    legend of the picture."""
    images, labels = _composites(data)
    return {
        "composites": {
            name: encode_levels(_outcomes(answers_of(model, images), labels))
            for name, model in models.items()
        }
    }


def segmentation_picture(record: Mapping[str, Any], data: DataConfig) -> Figure:
    """Composites on top, the truth below, then a row of answers per model."""
    images, labels = _composites(data)
    outcomes = {"truth": _outcomes(labels, labels)}
    outcomes |= {name: decode_levels(own) for name, own in record["composites"].items()}
    rows = [("composite", [image[0].numpy() for image in images])]
    rows += [(name, list(_COLOURS[found])) for name, found in outcomes.items()]
    figure, axes = plt.subplots(
        len(rows), _COLUMNS, figsize=(1.5 * _COLUMNS + 1.2, 1.5 * len(rows)), squeeze=False
    )
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, cmap="gray", interpolation="nearest")
        line[0].set_ylabel(name, fontsize=10)
    bare(axes)
    return figure
