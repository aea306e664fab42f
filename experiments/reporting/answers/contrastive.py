"""Contrastive: which caption is closest to a picture, with its score, and after one pixel; and
classes that prompts describe (zero-shot)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.batches import make_source
from experiments.core.config import RunConfig
from experiments.core.statistic import Statistic
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers, table
from experiments.reporting.answers.examples import Examples, grey_levels, held_out_examples
from experiments.reporting.answers.grid import RIGHT, WRONG
from experiments.reporting.answers.lines import Line, picture_with_lines
from experiments.reporting.answers.packed import packed
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.data import Captioned
from wavevit.data.captioned import PLACES, SIZES
from wavevit.tasks import Contrastive, zero_shot

_EXAMPLES = 3
_BATCH = 64
_ALT = (
    "Held-out pictures with their captions; beside each, one line for each model: the closest "
    "caption, its cosine, whether it is right, and the choice after a move by one pixel."
)


@register_answers("contrastive")
class ClosestCaptions(Answers):
    """The closest caption of the held-out ones, with its cosine, for a crop and the moved crop; of
    pictures with nouns also the table of zero-shot classification."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        examples = held_out_examples(config)
        texts = examples.crops(0, max(config.data.measured_crops, _EXAMPLES))["texts"]
        batch = examples.crops(0, _EXAMPLES)
        gallery = list(dict.fromkeys(texts))
        own = make_source(config, config.data.held_out, 0)
        tables = {}
        if isinstance(own, Captioned):
            tables["zero_shot"] = zero_shot_table(trained, config)
        return {
            "crops": packed(grey_levels(batch["images"])),
            "texts": list(batch["texts"]),
            "gallery": len(gallery),
            "models": {
                name: _closest(task, examples, gallery) for name, task in trained.models().items()
            },
            **({"tables": tables} if tables else {}),
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


def zero_shot_table(trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
    """Top-1 of classes that only prompts describe, for pictures of one object (`zero_shot`).

    Args:
        trained: models of the study.
        config: of one of its runs on `Captioned`.
    """
    data = config.data
    source = Captioned(data.held_out, data.crop_size, two=0.0, max_short_side=data.max_short_side)
    batch = source.sample(data.test_crops, torch.Generator().manual_seed(data.seed))
    prompts = [
        [f"a {size} {noun} at the {place}" for size in SIZES for place in PLACES]
        for noun in source.nouns
    ]
    rows = []
    for name in trained.seeds:
        answers = [_classes(task, batch["images"], prompts) for task in trained.of_seeds(name)]
        right = [100 * float((own == batch["labels"]).double().mean()) for own in answers]
        rows.append([name, Statistic.of(right).shown(1)])
    rows.append(["chance", f"{100 / len(prompts):.1f}"])
    return table(
        "Zero-shot classification",
        f"Top-1 of {data.test_crops} held-out pictures with one object, mean ± standard deviation "
        f"over seeds. The classes are the {len(prompts)} nouns; each is described by its captions "
        "with all sizes and places, whose embeddings are averaged. No class is trained.",
        ["variant", "zero-shot top-1, %"],
        rows,
    )


def _classes(task: Contrastive, images: Tensor, prompts: list[list[str]]) -> Tensor:
    """The class of each image (N,) whose prompts are closest to it."""
    parts = [zero_shot(task, part, prompts).argmax(1) for part in images.split(_BATCH)]
    return torch.cat(parts)


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
