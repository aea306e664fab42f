"""Token-change pictures: one photograph is shifted, every token is coloured by its change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.evaluation import token_map
from experiments.core.style import bare
from wavevit.data import Scenes
from wavevit.measure import shifted, token_change
from wavevit.models import Backbone

__all__ = ["PICTURE_SHIFTS", "scene_window", "token_change_maps", "token_change_picture"]

PICTURE_SHIFTS = (0, 1, 4, 8, 16)


def scene_window(data: DataConfig, photograph: str = "motorcycle") -> Tensor:
    """One held-out window (1, 1, S, S): the middle of a photograph's test half."""
    scenes = Scenes("test", data.crop_size, data.margin, max_short_side=data.max_short_side)
    label = scenes.classes.index(photograph)
    top, bottom, left, right = scenes.region(label)
    row = (top + bottom - scenes.window) // 2
    column = (left + right - scenes.window) // 2
    window = scenes.photograph(label)[row : row + scenes.window, column : column + scenes.window]
    return scenes.normalized(window[None, None])


def token_change_maps(
    model: Backbone, window: Tensor, data: DataConfig, kind: str, shifts: Sequence[int]
) -> list[Tensor]:
    """Relative change of each last token for horizontal shifts, maps (h, w)."""
    size = (data.crop_size, data.crop_size)
    scenes = Scenes("test", data.crop_size, data.margin, max_short_side=data.max_short_side)
    source = window if kind == "crop" else scenes.center(window)
    device = next(model.parameters()).device
    with torch.no_grad():
        maps = [
            token_map(model, shifted(source.to(device), (0, shift), kind, size))
            for shift in (0, *shifts)
        ]
    return [token_change(maps[0], after)[0].cpu() for after in maps[1:]]


def token_change_picture(
    changes: Mapping[str, Sequence[Tensor]],
    window: Tensor,
    data: DataConfig,
    kind: str,
    shifts: Sequence[int],
) -> Figure:
    """Photograph on top, one row of heat maps per model, one column per shift; one colour scale.

    Args:
        changes: model name → maps of `token_change_maps`.
        window: from `scene_window`.
        data: of the study.
        kind: shift model.
        shifts: in pixels, as for `changes`.
    """
    rows, columns = len(changes) + 1, len(shifts)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.75 * columns + 1.6, 1.8 * rows), squeeze=False
    )
    size = (data.crop_size, data.crop_size)
    scenes = Scenes("test", data.crop_size, data.margin, max_short_side=data.max_short_side)
    source = window if kind == "crop" else scenes.center(window)
    for axis, shift in zip(axes[0], shifts, strict=True):
        image = shifted(source, (0, shift), kind, size)[0, 0]
        axis.imshow(image.numpy(), cmap="gray", interpolation="nearest")
        axis.set_title("original" if shift == 0 else f"{shift} px", fontsize=11)
    heat = None
    for row, (name, maps) in zip(axes[1:], changes.items(), strict=True):
        for axis, change in zip(row, maps, strict=True):
            heat = axis.imshow(
                change.numpy(), cmap="magma", vmin=0, vmax=1, interpolation="nearest"
            )
            mean = f"{100 * float(change.mean()):.0f} %"
            axis.text(
                0.5,
                0.5,
                mean,
                color="white",
                path_effects=[effects.withStroke(linewidth=2.5, foreground="black")],
                ha="center",
                va="center",
                transform=axis.transAxes,
                fontsize=10,
                fontweight="bold",
            )
        row[0].set_ylabel(name.replace(" + ", "\n+ "), fontsize=10)
    axes[0, 0].set_ylabel("photograph", fontsize=10)
    bare(axes)
    assert heat is not None
    bar = figure.colorbar(heat, ax=axes[1:], shrink=0.6, ticks=np.linspace(0, 1, 5), extend="max")
    bar.set_label("change of a token, relative to the tokens' size")
    return figure
