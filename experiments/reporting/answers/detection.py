"""Detection: boxes on held-out pictures, and on the same pictures moved by one pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Transform
from torch import Tensor

from experiments.core.config import RunConfig
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.answers.examples import grey_levels, held_out_examples
from experiments.reporting.answers.grid import Cell, picture_grid
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.data import Objects
from wavevit.data.shapes import SHAPES
from wavevit.tasks import Detection

_EXAMPLES = 3
_MOST = 8  # boxes of a picture, strongest first
_LAST_LEFT, _LAST_TOP = 0.75, 0.87  # of a picture's side: up to there a score has room
_COLOURS = ("#56B4E9", "#E69F00", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
_ALT = (
    "Held-out pictures in pairs, as a crop and moved by one pixel, with boxes in the colours of "
    "their classes: true ones in the first row, then one row for each model."
)


@register_answers("detection")
class Boxes(Answers):
    """Boxes above the score that box jitter compares, with the jitter below each pair."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        examples = held_out_examples(config)
        batches = [examples.crops(0, _EXAMPLES, moved) for moved in (False, True)]
        models = trained.models()
        return {
            "classes": _names(examples.source, models),
            "crops": [packed(grey_levels(batch["images"])) for batch in batches],
            "truth": [_rows(batch["boxes"], batch["labels"]) for batch in batches],
            "models": {
                name: _answers(task, batches, examples.shift) for name, task in models.items()
            },
            "least_score": next(iter(models.values())).options.jitter_score,
        }

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        caption = (
            "Held-out pictures, the same for all models (first seed): a crop, and the crop that "
            f"starts one pixel further right. Boxes with a score of at least "
            f"{record['least_score']:g}, at most {_MOST}; the number beside a box is its score. "
            "Below a pair: the mean distance in pixels that corners of its boxes moved beside the "
            "picture."
        )
        draw = partial(boxes_picture, record)
        return [StudyFigure("boxes", "Boxes on held-out pictures", caption, draw, "picture", _ALT)]


def _names(source: Any, models: Mapping[str, Detection]) -> list[str]:
    if isinstance(source, Objects):
        return list(SHAPES)
    return [f"class {i}" for i in range(next(iter(models.values())).num_classes)]


def _rows(
    boxes: Sequence[Tensor], classes: Sequence[Tensor], scores: Sequence[Tensor] = ()
) -> list[list[list[float]]]:
    """For each picture its boxes: left, top, right, bottom, class, score (1 for true ones)."""
    found = []
    for index, (own, kinds) in enumerate(zip(boxes, classes, strict=True)):
        certain = scores[index] if len(scores) else torch.ones(len(own))
        table = torch.cat([own, kinds[:, None].to(own), certain[:, None].to(own)], dim=1)
        found.append([[round(value, 2) for value in row] for row in table.tolist()])
    return found


def _answers(
    task: Detection, batches: Sequence[Mapping[str, Any]], shift: tuple[int, int]
) -> dict[str, Any]:
    still, moved = (task.predict(batch) for batch in batches)
    jitter = task.compare(still, moved, shift)["box_shift"]
    least = task.options.jitter_score
    return {
        "boxes": [
            [
                [row for row in rows if row[5] >= least][:_MOST]
                for rows in _rows(found["boxes"], found["classes"], found["scores"])
            ]
            for found in (still, moved)
        ],
        "moved": [None if np.isnan(value) else round(value, 3) for value in jitter.tolist()],
    }


def _draw(
    rows: Sequence[Sequence[float]], numbered: bool, side: int, axis: Axes, pixels: Transform
) -> None:
    """Boxes, and their scores inside the picture of `side` pixels."""
    for left, top, right, bottom, kind, _ in reversed(rows):  # the strongest on top
        colour = _COLOURS[int(kind) % len(_COLOURS)]
        for width, edge in ((3.0, "black"), (1.6, colour)):
            frame = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=edge)
            frame.set(linewidth=width, transform=pixels)
            axis.add_patch(frame)
    for left, top, *_, score in reversed(rows) if numbered else ():
        at_right = left > _LAST_LEFT * side
        across = side - 1 if at_right else max(left, 0) + 1
        down = min(max(top, 0), _LAST_TOP * side) + 1
        text = axis.text(across, down, f"{score:.2f}", fontsize=7, transform=pixels)
        text.set(color="white", va="top", ha="right" if at_right else "left")
        text.set_bbox({"facecolor": "black", "alpha": 0.65, "pad": 0.6, "linewidth": 0})


def boxes_picture(record: Mapping[str, Any]) -> Figure:
    """True boxes, then a row of answers for each model; pairs of crops side by side."""
    still, moved = (unpacked(levels) for levels in record["crops"])
    rows = []
    entries = [("truth", {"boxes": record["truth"], "moved": None}), *record["models"].items()]
    for name, own in entries:
        cells: list[Cell | None] = []
        for index, pair in enumerate(zip(still, moved, strict=True)):
            note = ""
            if own["moved"] is not None:
                distance = own["moved"][index]
                note = "no pair of boxes" if distance is None else f"moved {distance:.2f} px"
            for which, picture in enumerate(pair):
                boxes = own["boxes"][which][index]
                draw = partial(_draw, boxes, own["moved"] is not None, picture.shape[1])
                cells.append(Cell(picture, note if which else "", draw=draw))
        rows.append((name, cells))
    legend = [(name, _COLOURS[i % len(_COLOURS)]) for i, name in enumerate(record["classes"])]
    return picture_grid(rows, ["crop", "moved 1 px"] * len(still), legend=legend[: len(_COLOURS)])
