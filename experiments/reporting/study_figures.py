"""All figures of a study, from its record: the summary and the pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from experiments.core.config import RunConfig
from experiments.core.summary import StudySummary
from experiments.reporting.figures import (
    accuracy_against_cost,
    consistency_against_time,
    consistency_bars,
    sensitivity_curves,
)
from experiments.reporting.pictures import KINDS, token_change_picture
from experiments.reporting.segmentation import ABOUT_COMPOSITES, segmentation_picture
from experiments.reporting.sentences import (
    about_consistency,
    about_cost,
    about_picture,
    about_sensitivity,
    about_trade_off,
)

_TITLES = {
    "circular": "Change of the tokens under a circular shift by 1 px",
    "crop": "Change of the tokens under a crop shift by 1 px, as when a camera moves",
}


@dataclass(frozen=True)
class StudyFigure:
    """A figure with what it shows in words.

    Attributes:
        name: of its file.
        title: heading above it.
        caption: a sentence written from the numbers.
        draw: makes it.
        kind: ``"diagram"`` or ``"picture"`` (narrower).
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure]
    kind: str = "diagram"


def study_figures(
    summary: StudySummary, pictures: Mapping[str, Any] | None = None
) -> list[StudyFigure]:
    """The figures in the order of the report.

    Args:
        summary: of the study.
        pictures: what trained models see, of `record_changes` or `record_answers`; None where no
            weights were at hand.
    """
    cost = StudyFigure(
        "cost",
        "Score against cost",
        about_cost(summary),
        partial(accuracy_against_cost, summary),
    )
    shown = [] if pictures is None else _pictures(summary, pictures)
    if summary.task != "classification":
        return [*shown, cost]
    diagrams = _diagrams(summary)
    return [*shown[:1], diagrams[0], *shown[1:], *diagrams[1:], cost]


def _pictures(summary: StudySummary, record: Mapping[str, Any]) -> list[StudyFigure]:
    configs = [RunConfig.from_dict(summary.configs[name]) for name in summary.pictured]
    data = configs[-1].data
    if summary.task == "segmentation":
        draw = partial(segmentation_picture, record, data)
        title = "Segmentation of held-out composites"
        return [StudyFigure("composites", title, ABOUT_COMPOSITES, draw, "picture")]
    follows = ""
    if any(config.model.alignment != "none" for config in configs):
        follows = (
            " Maps of an aligned model follow the image: a circular shift by part of a token "
            "interpolates between tokens."
        )
    figures = []
    for kind in KINDS:
        caption = about_picture(record, kind) + follows
        draw = partial(token_change_picture, record, data, kind)
        figures.append(StudyFigure(f"tokens_{kind}", _TITLES[kind], caption, draw, "picture"))
    return figures


def _curves(summary: StudySummary, names: Sequence[str], applied: bool) -> StudyFigure:
    """Sensitivity curves of some variants."""
    return StudyFigure(
        "sensitivity_applied" if applied else "sensitivity",
        "Change of the embedding under a shift"
        + (", alignments added after training" if applied else ""),
        about_sensitivity(summary, names),
        partial(sensitivity_curves, summary, names),
    )


def _diagrams(summary: StudySummary) -> list[StudyFigure]:
    """Those of a classification study but for the cost; the first is the sensitivity curves."""
    diagrams = [_curves(summary, summary.trained, applied=False)]
    if summary.applied:
        sources = [name for name in summary.variants if name in {*summary.applied.values()}]
        diagrams.append(_curves(summary, (*sources, *summary.applied), applied=True))
    if summary.applied and summary.latency:
        trade_off = partial(consistency_against_time, summary)
        about = about_trade_off(summary)
        diagrams.append(StudyFigure("trade_off", "Consistency against time", about, trade_off))
    about, bars = about_consistency(summary), partial(consistency_bars, summary)
    return [
        *diagrams,
        StudyFigure("consistency", "Consistency of the predicted class", about, bars),
    ]
