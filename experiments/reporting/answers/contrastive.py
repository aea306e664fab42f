"""Contrastive: which caption is closest to a picture, with its score, and after one pixel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure

from experiments.core.config import RunConfig
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.answers.examples import Examples, grey_levels, held_out_examples
from experiments.reporting.answers.grid import RIGHT, WRONG
from experiments.reporting.answers.lines import Line, picture_with_lines
from experiments.reporting.answers.packed import packed
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.tasks import Contrastive

_EXAMPLES = 3
_ALT = (
    "Held-out pictures with their captions; beside each, one line for each model: the closest "
    "caption, its cosine, whether it is right, and the choice after a move by one pixel."
)


@register_answers("contrastive")
class ClosestCaptions(Answers):
    """The closest caption of the held-out ones, with its cosine, for a crop and the moved crop."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        examples = held_out_examples(config)
        texts = examples.crops(0, max(config.data.measured_crops, _EXAMPLES))["texts"]
        batch = examples.crops(0, _EXAMPLES)
        gallery = list(dict.fromkeys(texts))
        return {
            "crops": packed(grey_levels(batch["images"])),
            "texts": list(batch["texts"]),
            "gallery": len(gallery),
            "models": {
                name: _closest(task, examples, gallery) for name, task in trained.models().items()
            },
        }

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        caption = (
            "Held-out pictures and, for each model (first seed), the closest of "
            f"{record['gallery']} held-out captions with the cosine of both embeddings. "
            f"Chance of the right one: {100 / record['gallery']:.1f} %. "
            "After the arrow: the choice for the crop that starts one pixel further right."
        )
        draw = partial(closest_picture, record)
        title = "Closest captions of held-out pictures"
        return [StudyFigure("closest_captions", title, caption, draw, "picture", _ALT)]


def _closest(
    task: Contrastive, examples: Examples, gallery: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """For each picture the closest caption and its cosine: still and moved."""
    texts = task.embed_texts(gallery)
    found = {}
    for kind, moved in (("still", False), ("moved", True)):
        images = task.embed_images(examples.crops(0, _EXAMPLES, moved)["images"])
        best = torch.max(images @ texts.T, dim=1)
        found[kind] = [
            {"text": gallery[index], "cosine": round(value, 2) + 0.0}  # no −0
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
    return found


def _line(name: str, own: Mapping[str, Any], index: int, truth: str) -> Line:
    still, moved = own["still"][index], own["moved"][index]
    right = still["text"] == truth
    return Line(
        name,
        f"{still['cosine']:.2f}",
        ("right: " if right else "wrong: ") + still["text"],
        f"→ {'same' if moved['text'] == still['text'] else moved['text']}",
        RIGHT if right else WRONG,
    )


def closest_picture(record: Mapping[str, Any]) -> Figure:
    """A picture, its caption, and the closest caption of each model."""
    heads = ("model", "cosine", "closest caption → after 1 px")
    return picture_with_lines(record, _line, heads)
