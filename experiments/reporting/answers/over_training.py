"""Samples over training: what a model draws from the same random numbers at several steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.reporting.answers.grid import Cell, picture_grid
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns

NAME = "over_training"  # of the entry of the record, and of the figure
SHOWN = 2  # samples of each model
_ALT = (
    "Samples of {names}, one row for each number of training steps. A column has the same random "
    "numbers in every row."
)


def over_training(
    trained: TrainedRuns, draw: Callable[[Any], np.ndarray], step: int
) -> dict[str, Any]:
    """Entries of a record: empty if the study keeps no weights on the way.

    Args:
        trained: the study's trained models.
        draw: from a model to `SHOWN` pictures (N, H, W), uint8; always of the same random numbers.
        step: grey levels that become one (`packed`): the noisier the samples, the larger they are
            in the record, and the less is seen of a large step.
    """
    models = {}
    for name, files in trained.over_training().items():
        drawn = [draw(trained.at(name, file)) for file in files.values()]
        models[name] = {
            "steps": list(files),
            "samples": packed(np.concatenate(drawn), step),
        }
    return {NAME: models} if models else {}


def over_training_figures(record: Mapping[str, Any], how: str) -> list[StudyFigure]:
    """The figure of `over_training`, if the record has it.

    Args:
        record: of the study.
        how: what the samples of a column have in common, for the caption.
    """
    models = record.get(NAME)
    if not models:
        return []
    names = " and ".join(models)
    caption = (
        f"Samples of {names} (first seed); the row says after how many training steps, 0 is before "
        f"training. {how}"
    )
    return [
        StudyFigure(
            NAME,
            "Samples over training",
            caption,
            partial(over_training_picture, models),
            "picture",
            _ALT.format(names=names),
        )
    ]


def over_training_picture(models: Mapping[str, Any]) -> Figure:
    """One row for each number of steps, `SHOWN` columns for each model."""
    steps = sorted({step for own in models.values() for step in own["steps"]})
    rows: dict[int, list[Cell | None]] = {step: [] for step in steps}
    for own in models.values():
        pictures = unpacked(own["samples"])
        pictures = pictures.reshape(len(own["steps"]), SHOWN, *pictures.shape[1:])
        by_step = dict(zip(own["steps"], pictures, strict=True))
        for step, cells in rows.items():
            cells += [Cell(one) for one in by_step[step]] if step in by_step else [None] * SHOWN
    heads = [name for name in models for _ in range(SHOWN)]
    return picture_grid([(f"{step} steps", cells) for step, cells in rows.items()], heads)
