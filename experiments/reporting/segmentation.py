"""The picture of a segmentation study: composites, and where each model is right."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.segmentation.composites import held_out_composites
from experiments.core.segmentation.measures import answers_of
from experiments.core.segmentation.segmenter import Segmenter
from experiments.core.style import bare

__all__ = ["ABOUT_COMPOSITES", "segmentation_picture"]

ABOUT_COMPOSITES = (
    "Held-out composites, the same for all models, which are those of the first seed. Blue and "
    "yellow: pixels that are given to their own photograph, the one or the other. Red: the other "
    "photograph's class; black: the class of a photograph that is not in the picture."
)
_COLUMNS = 6
_FIRST, _SECOND, _SWAPPED, _OTHER = (to_rgb(c) for c in ("#4c78a8", "#eeca3b", "#d62728", "#111"))


def _painted(answers: Tensor, labels: Tensor) -> np.ndarray:
    """Colours (S, S, 3) of one image's answers."""
    both = labels.unique()
    first = labels == both[0]
    right = answers == labels
    picture = np.empty((*labels.shape, 3))
    picture[:] = _OTHER
    picture[(~right & torch.isin(answers, both)).numpy()] = _SWAPPED
    picture[(right & first).numpy()] = _FIRST
    picture[(right & ~first).numpy()] = _SECOND
    return picture


def segmentation_picture(models: Mapping[str, Segmenter], data: DataConfig) -> Figure:
    """Composites on top, the truth below, then a row of answers per model.

    Args:
        models: trained, by name.
        data: of the study.
    """
    scenes, batch = held_out_composites(data, torch.device("cpu"))
    images = scenes.center(batch.images[:_COLUMNS])
    labels = scenes.center(batch.labels[:_COLUMNS])
    answers = {name: answers_of(model, images) for name, model in models.items()}
    rows = [("composite", [image[0].numpy() for image in images])]
    rows += [
        (name, [_painted(*pair) for pair in zip(found, labels, strict=True)])
        for name, found in {"truth": labels, **answers}.items()
    ]
    figure, axes = plt.subplots(
        len(rows), _COLUMNS, figsize=(1.5 * _COLUMNS + 1.2, 1.5 * len(rows)), squeeze=False
    )
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, cmap="gray", interpolation="nearest")
        line[0].set_ylabel(name, fontsize=10)
    bare(axes)
    return figure
