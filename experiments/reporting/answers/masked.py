"""Masked image modelling: what is hidden of held-out crops, and what each model puts there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import RunConfig
from experiments.core.levels import decode_levels, encode_levels
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.answers.examples import grey_levels, held_out_examples
from experiments.reporting.answers.grid import Cell, picture_grid
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.tasks import harmonic_inpainting
from wavevit.tasks.patches import to_pixels

_EXAMPLES = 5
_HIDDEN = (86, 180, 233)  # colour of hidden pixels
_ALT = (
    "Rows of held-out crops: whole, then for each size of a hidden block the hidden blocks in "
    "blue, their inpainting, and what each model puts there; the error is below each picture."
)


@register_answers("masked")
class Reconstructions(Answers):
    """Crops, hidden blocks, their inpainting, and what each model puts there.

    Blocks have the side of a backbone's coarsest stride, so models are shown in groups by it.
    """

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        images = held_out_examples(config).crops(0, _EXAMPLES)["images"]
        groups: dict[int, dict[str, Any]] = {}
        for name, task in sorted(trained.models().items(), key=lambda item: item[1].block):
            found = task.predict({"images": images})
            hidden = to_pixels(found["mask"], task.block)
            if task.block not in groups:
                mean, smooth = task.hide(images, found["mask"]), harmonic_inpainting(images, hidden)
                groups[task.block] = {
                    "block": task.block,
                    "hidden": encode_levels(hidden[:, 0].to(torch.uint8).numpy()),
                    "mean_error": _errors(images, mean, hidden),
                    "filled": {"inpainting": _filled(images, smooth, hidden)},
                }
            own = _filled(images, found["reconstructions"], hidden)
            groups[task.block]["filled"][name] = own
        return {"crops": packed(grey_levels(images)), "groups": list(groups.values())}

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        caption = (
            "Held-out crops (first seed). Some blocks are hidden (blue); a block has the "
            "side of the backbone's coarsest stride. They are filled by harmonic inpainting, as "
            "smooth as the visible pixels allow, and by each model. Number: root mean square error "
            "of the hidden pixels, 1 = the contrast of a crop; below the hidden blocks that of the "
            "mean of the visible pixels."
        )
        draw = partial(masked_picture, record)
        title = "Hidden blocks of held-out crops, restored"
        return [StudyFigure("restored", title, caption, draw, "picture", _ALT)]


def _errors(images: Tensor, guess: Tensor, hidden: Tensor) -> list[float]:
    """Root mean square error of the hidden pixels of each image."""
    wrong = torch.where(hidden, (guess - images).double().square(), 0.0).flatten(1).sum(1)
    count = hidden.flatten(1).sum(1) * images.shape[1]
    return [round(value, 3) for value in (wrong / count).sqrt().tolist()]


def _filled(images: Tensor, guess: Tensor, hidden: Tensor) -> dict[str, Any]:
    levels = np.where(hidden[:, 0].numpy(), grey_levels(guess), 0)  # the others are the crop's
    return {
        "levels": packed(levels),
        "error": _errors(images, guess, hidden),
    }


def masked_picture(record: Mapping[str, Any]) -> Figure:
    """Whole crops; for each size of a block what is hidden, and a row for each way to fill it."""
    crops = unpacked(record["crops"])
    rows: list[tuple[str, list[Cell | None]]] = [("crop", [Cell(picture) for picture in crops])]
    for group in record["groups"]:
        hidden = decode_levels(group["hidden"]).astype(bool)
        covered = np.repeat(crops[..., None], 3, axis=-1)
        covered[hidden] = _HIDDEN
        pairs = zip(covered, group["mean_error"], strict=True)
        title = f"hidden,\n{group['block']} px"
        rows.append((title, [Cell(picture, f"mean {error:.2f}") for picture, error in pairs]))
        for name, own in group["filled"].items():
            filled = np.where(hidden, unpacked(own["levels"]), crops)
            pairs = zip(filled, own["error"], strict=True)
            rows.append((name, [Cell(picture, f"{error:.2f}") for picture, error in pairs]))
    return picture_grid(rows)
