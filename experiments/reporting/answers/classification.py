"""Classification: how the tokens change when one photograph is shifted."""

from __future__ import annotations

from functools import partial
from typing import Any

from experiments.core.config import RunConfig
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.figure import StudyFigure
from experiments.reporting.pictures import KINDS, record_changes, token_change_picture
from experiments.reporting.sentences import about_picture
from experiments.reporting.trained import TrainedRuns

_TITLES = {
    "circular": "Change of the tokens under a circular shift by 1 px",
    "crop": "Change of the tokens under a crop shift by 1 px, as when a camera moves",
}
_ALT = "A photograph, and below it one row of heat maps for each model, one column for each shift."
_FOLLOWS = (
    " Maps of an aligned model follow the image: a circular shift by part of a token "
    "interpolates between tokens."
)


@register_answers("classification")
class TokenChanges(Answers):
    """Heat maps of the change of each token, for circular shifts and for crop shifts."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        return record_changes(trained.models(), config.data)

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        data = list(configs.values())[-1].data
        aligned = any(config.model.alignment != "none" for config in configs.values())
        return [
            StudyFigure(
                f"tokens_{kind}",
                _TITLES[kind],
                about_picture(record, kind) + (_FOLLOWS if aligned else ""),
                partial(token_change_picture, record, data, kind),
                "picture",
                _ALT,
            )
            for kind in KINDS
        ]
