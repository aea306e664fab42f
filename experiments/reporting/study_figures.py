"""All figures of a study, from its record: the summary and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from experiments.core.budgets import budgets_figure
from experiments.core.config import RunConfig
from experiments.core.summary import StudySummary
from experiments.reporting.answers import answers_of
from experiments.reporting.figure import StudyFigure
from experiments.reporting.figures import (
    accuracy_against_cost,
    consistency_against_time,
    consistency_bars,
    sensitivity_curves,
)
from experiments.reporting.sentences import (
    about_budgets,
    about_consistency,
    about_cost,
    about_sensitivity,
    about_trade_off,
)


def study_figures(
    summary: StudySummary, pictures: Mapping[str, Any] | None = None
) -> list[StudyFigure]:
    """The figures in the order of the report.

    Args:
        summary: of the study.
        pictures: what trained models answer (`Answers.record`); None where no weights were at hand.
    """
    cost = StudyFigure(
        "cost",
        "Score against cost",
        about_cost(summary),
        partial(accuracy_against_cost, summary),
    )
    answers = answers_of(summary.task)
    shown = []
    if pictures is not None and answers is not None:
        configs = {name: RunConfig.from_dict(summary.configs[name]) for name in summary.pictured}
        shown = answers.figures(pictures, configs)
    if summary.task != "classification":
        return [*shown, cost]
    diagrams = _diagrams(summary)
    return [*shown[:1], diagrams[0], *shown[1:], *diagrams[1:], cost]


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
    if summary.budgets:
        title, swept = "Top-1 against tokens", partial(budgets_figure, summary)
        diagrams.append(StudyFigure("budgets", title, about_budgets(summary), swept))
    about, bars = about_consistency(summary), partial(consistency_bars, summary)
    return [
        *diagrams,
        StudyFigure("consistency", "Consistency of the predicted class", about, bars),
    ]
