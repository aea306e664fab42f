"""Segmentation: where each model is right on held-out composites, and after one pixel."""

from __future__ import annotations

from functools import partial
from typing import Any

from experiments.core.config import RunConfig
from experiments.core.sources import source_name
from experiments.reporting.answers.base import Answers, Configs, Record, register_answers
from experiments.reporting.figure import StudyFigure
from experiments.reporting.segmentation import (
    ABOUT_COMPOSITES,
    ABOUT_MOVED,
    moved_picture,
    record_answers,
    segmentation_picture,
)
from experiments.reporting.trained import TrainedRuns

_ALT = "Held-out composites, their true masks, and one row of masks for each model."


@register_answers("segmentation")
class Masks(Answers):
    """Masks of composites, and of the same composites one pixel further right."""

    def record(self, trained: TrainedRuns, config: RunConfig) -> dict[str, Any]:
        if source_name(config) != "composites":  # other data: no pictures
            return {}
        return record_answers(trained.models(), config.data)

    def figures(self, record: Record, configs: Configs) -> list[StudyFigure]:
        if "composites" not in record:
            return []
        data = list(configs.values())[-1].data
        draw = partial(segmentation_picture, record, data)
        title = "Segmentation of held-out composites"
        figures = [StudyFigure("composites", title, ABOUT_COMPOSITES, draw, "picture", _ALT)]
        if "moved" in record:  # records of before have none
            draw = partial(moved_picture, record, data)
            title = "Segmentation before and after a move by one pixel"
            figures.append(StudyFigure("moved", title, ABOUT_MOVED, draw, "picture", _ALT))
        return figures
