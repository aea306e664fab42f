"""Autoregressive: samples, samples over training, completions, and what lossless files need for the
same crops."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import RunConfig
from experiments.measurements.lossless_files import lossless_bits
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers, table
from experiments.reporting.answers.examples import grey_levels, held_out_examples
from experiments.reporting.answers.grid import Cell, picture_grid
from experiments.reporting.answers.over_training import (
    SHOWN,
    over_training,
    over_training_figures,
)
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.progress import in_steps
from wavevit.tasks import Autoregressive
from wavevit.tasks.autoregressive_orders import Raster

_SAMPLES, _COMPLETED = 3, 2
_ALT = (
    "One row for each model: samples, then held-out crops of which a part was given and the rest "
    "drawn; the first row has the crops. Bits per pixel of what was drawn are below each picture."
)


@register_answers("autoregressive")
class Samples(Answers):
    """Drawn and completed images of the first seed, and the table of lossless files."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        crops = held_out_examples(config).crops(0, config.data.test_crops)["images"]
        given, models = crops[:_COMPLETED], trained.models()
        return {
            "crops": packed(grey_levels(given)),
            "models": {name: _drawn(models[name], given) for name in in_steps(models)},
            **over_training(trained, partial(_first_samples, given=given), 16),
            "tables": {"lossless": _files(crops)},
        }

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        caption = (
            "Samples of each model (first seed), and completions of two held-out crops, of which "
            "the picture at half the size is given (in raster order: the upper half of the rows). "
            "Number: bits per pixel of what was drawn, over all pixels of the image."
        )
        draw = partial(samples_picture, record)
        title = "Samples, and completions of held-out crops"
        return [
            StudyFigure("samples", title, caption, draw, "picture", _ALT),
            *over_training_figures(record, "A column has the same random numbers in every row."),
        ]


def _sampled(task: Autoregressive, given: Tensor, generator: torch.Generator) -> dict[str, Any]:
    """Samples of the size of the given crops."""
    return task.sample(_SAMPLES, generator, (given.shape[-2], given.shape[-1]))


def _first_samples(task: Autoregressive, given: Tensor) -> np.ndarray:
    """The first of the samples of `_drawn`, as grey levels (N, H, W)."""
    drawn = _sampled(task, given, torch.Generator().manual_seed(0))
    return grey_levels(drawn["images"][:SHOWN].cpu())


def _drawn(task: Autoregressive, given: Tensor) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    units = task.order.units(given.shape[-2])
    # All but the finest level, which is a picture of half the side for every backbone.
    known = units // 2 if isinstance(task.order, Raster) else units - 1
    drawn = _sampled(task, given, generator)
    completed = task.sample(len(given), generator, given=given, known=known)
    return {
        "levels": packed(grey_levels(torch.cat([drawn["images"], completed["images"]]).cpu())),
        "bits": [round(b, 2) for b in [*drawn["bits"].tolist(), *completed["bits"].tolist()]],
    }


def _files(crops: Tensor) -> dict[str, Any]:
    """Bits per dimension of the study's held-out crops in each format."""
    arrays = [np.ascontiguousarray(crop.permute(1, 2, 0).squeeze(-1).numpy()) for crop in crops]
    rows = []
    for name, bits in lossless_bits(arrays).items():
        whole, pixels = fmean(bits["whole"]), fmean(bits["pixels"])
        rows.append([name, f"{whole:.3f}", f"{pixels:.3f}", f"{whole - pixels:.3f}"])
    return table(
        "Lossless files of the same crops",
        f"Mean over the {len(crops)} held-out crops on which the models are measured, each crop a "
        "file of its own, with the settings that give the smallest files. Headers are everything "
        "but the compressed pixels: a model has none, so compare its bits with those without "
        "headers.",
        ["format", "bits per dimension of the file", "without headers", "headers"],
        rows,
    )


def samples_picture(record: Mapping[str, Any]) -> Figure:
    """Crops, then a row of samples and completions for each model."""
    crops = [Cell(picture, "held out") for picture in unpacked(record["crops"])]
    rows: list[tuple[str, list[Cell | None]]] = [("crop", [*[None] * _SAMPLES, *crops])]
    for name, own in record["models"].items():
        pairs = zip(unpacked(own["levels"]), own["bits"], strict=True)
        rows.append((name, [Cell(picture, f"{bits:.2f} bits") for picture, bits in pairs]))
    return picture_grid(rows, [*["sample"] * _SAMPLES, *["completed"] * len(crops)])
