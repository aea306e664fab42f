"""Token-change pictures: one photograph is shifted, every token is coloured by its change.

A report computes the changes from trained models, once, and keeps them in the study's record
``pictures.json``; the picture is drawn from there. A change is kept as a step of the colour map,
1/256 of the tokens' size, and the mean of each map beside it: changes above 1 have one colour.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.patheffects as effects
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.evaluation import held_out_windows, token_map
from experiments.core.levels import decode_levels, encode_levels
from experiments.core.style import bare
from wavevit.data import Scenes
from wavevit.measure import shifted, token_change
from wavevit.models import Backbone

PICTURE_SHIFTS = (0, 1, 4, 8, 16)
KINDS = ("circular", "crop")
_STEPS = 256  # of the colour map
_PHOTOGRAPH = "motorcycle"
_CPU = torch.device("cpu")


def _scenes(data: DataConfig) -> Scenes:
    return Scenes("test", data.crop_size, data.margin, max_short_side=data.max_short_side)


def _source(data: DataConfig, kind: str) -> Tensor:
    """What is shifted, (1, 1, S, S): the middle of a photograph's test half, or the first held-out
    window of other data; with the margin around it where the camera moves."""
    if data.source not in ("", "scenes") or "photographs" in dict(data.source_options):
        source, batch = held_out_windows(dataclasses.replace(data, test_crops=1), _CPU)
        return batch.images if kind == "crop" else source.cut(batch.images, (0, 0))
    scenes = _scenes(data)
    label = scenes.classes.index(_PHOTOGRAPH)
    top, bottom, left, right = scenes.region(label)
    row = (top + bottom - scenes.window) // 2
    column = (left + right - scenes.window) // 2
    window = scenes.photograph(label)[row : row + scenes.window, column : column + scenes.window]
    window = scenes.normalized(window[None, None])
    return window if kind == "crop" else scenes.center(window)


def record_changes(models: Mapping[str, Backbone], data: DataConfig) -> dict[str, Any]:
    """Relative change of each last token for horizontal shifts.

    Returns:
        Plain data: the shifts in pixels; for each kind of shift and each model, the mean change
        for each shift and the changes as levels (shift, h, w), a step of the colour map each.
    """
    shifts = [shift for shift in PICTURE_SHIFTS if shift <= data.margin]
    size = (data.crop_size, data.crop_size)
    record: dict[str, Any] = {"shifts": shifts}
    for kind in KINDS:
        source = _source(data, kind)
        record[kind] = {}
        for name, model in models.items():
            device = next(model.parameters()).device
            with torch.no_grad():
                before, *after = (
                    token_map(model, shifted(source.to(device), (0, shift), kind, size))
                    for shift in (0, *shifts)
                )
            changes = torch.stack([token_change(before, maps)[0].cpu() for maps in after])
            levels = (changes * _STEPS).floor().clamp(0, _STEPS - 1)
            record[kind][name] = {
                "mean": [round(float(change.mean()), 4) for change in changes],
                "levels": encode_levels(levels.byte().numpy()),
            }
    return record


def token_change_picture(record: Mapping[str, Any], data: DataConfig, kind: str) -> Figure:
    """Photograph on top, one row of heat maps per model, one column per shift; one colour scale."""
    models, shifts = record[kind], record["shifts"]
    rows, columns = len(models) + 1, len(shifts)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.75 * columns + 1.6, 1.8 * rows), squeeze=False
    )
    source, size = _source(data, kind), (data.crop_size, data.crop_size)
    for axis, shift in zip(axes[0], shifts, strict=True):
        image = shifted(source, (0, shift), kind, size)[0].mean(0)
        axis.imshow(image.numpy(), cmap="gray", interpolation="nearest")
        axis.set_title("original" if shift == 0 else f"{shift} px", fontsize=11)
    for row, (name, own) in zip(axes[1:], models.items(), strict=True):
        _draw_row(row, own["mean"], decode_levels(own["levels"]))
        row[0].set_ylabel(name.replace(" + ", "\n+ "), fontsize=10)
    axes[0, 0].set_ylabel("photograph", fontsize=10)
    bare(axes)
    heat = axes[-1, -1].images[0]
    bar = figure.colorbar(heat, ax=axes[1:], shrink=0.6, ticks=np.linspace(0, 1, 5), extend="max")
    bar.set_label("change of a token, relative to the tokens' size")
    return figure


def _draw_row(axes: np.ndarray, means: Sequence[float], levels: np.ndarray) -> None:
    for axis, mean, level in zip(axes, means, levels, strict=True):
        change = (level + 0.5) / _STEPS
        axis.imshow(change, cmap="magma", vmin=0, vmax=1, interpolation="nearest")
        axis.text(
            *(0.5, 0.5, f"{100 * mean:.0f} %"),
            color="white",
            path_effects=[effects.withStroke(linewidth=2.5, foreground="black")],
            ha="center",
            va="center",
            transform=axis.transAxes,
            fontsize=10,
            fontweight="bold",
        )
