"""Captioning: the caption that each model writes, before and after a move by one pixel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from experiments.core.config import RunConfig
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.answers.examples import Examples, grey_levels, held_out_examples
from experiments.reporting.answers.grid import RIGHT, WRONG
from experiments.reporting.answers.lines import Line, picture_with_lines
from experiments.reporting.answers.packed import packed
from experiments.reporting.figure import StudyFigure
from experiments.reporting.trained import TrainedRuns
from wavevit.progress import in_steps
from wavevit.tasks import Captioning

_EXAMPLES = 3
_ALT = (
    "Held-out pictures with their captions; beside each, one line for each model: the bits per "
    "character of the true caption, the caption that the model writes, and the one after a move "
    "by one pixel."
)


@register_answers("captioning")
class WrittenCaptions(Answers):
    """Captions for a crop and the moved crop, beside the cost of the true caption."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        examples = held_out_examples(config)
        batch, models = examples.crops(0, _EXAMPLES), trained.models()
        return {
            "crops": packed(grey_levels(batch["images"])),
            "texts": list(batch["texts"]),
            "models": {name: _written(models[name], examples) for name in in_steps(models)},
        }

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        caption = (
            "Held-out pictures with their captions, and what each model writes (first seed). Bits "
            "per character of the true caption: with the picture / with another picture. After the "
            "arrow: the caption of the crop that starts one pixel further right."
        )
        draw = partial(written_picture, record)
        title = "Captions of held-out pictures"
        return [StudyFigure("written_captions", title, caption, draw, "picture", _ALT)]


def _written(task: Captioning, examples: Examples) -> dict[str, Any]:
    batch = examples.crops(0, _EXAMPLES)
    costs = task.evaluate(batch)
    bits = {
        kind: [
            round(total / length, 3)
            for total, length in zip(
                costs[name].tolist(), costs["characters"].tolist(), strict=True
            )
        ]
        for kind, name in (("own", "total"), ("other", "total_shuffled"))
    }
    return {
        "still": task.predict(batch)["captions"],
        "moved": task.predict(examples.crops(0, _EXAMPLES, moved=True))["captions"],
        "bits": bits,
    }


def _line(name: str, own: Mapping[str, Any], index: int, truth: str) -> Line:
    still, moved, bits = own["still"][index], own["moved"][index], own["bits"]
    return Line(
        name,
        f"{bits['own'][index]:.2f} / {bits['other'][index]:.2f}",
        still or "(nothing)",
        "→ same" if moved == still else f"→ {moved or '(nothing)'}",
        RIGHT if still == truth else WRONG,
    )


def written_picture(record: Mapping[str, Any]) -> Figure:
    """A picture, its caption, and what each model writes."""
    return picture_with_lines(record, _line, ("model", "bits", "caption → after 1 px"))
