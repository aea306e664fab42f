"""A study's diagrams: all of its figures that follow from its summary alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.core.records import write_bytes
from experiments.core.style import figure_style, save_figure
from experiments.core.summary import StudySummary
from experiments.reporting.figures import (
    accuracy_against_cost,
    consistency_against_time,
    consistency_bars,
    sensitivity_curves,
)
from experiments.reporting.page import ReportFigure
from experiments.reporting.sentences import (
    about_consistency,
    about_cost,
    about_sensitivity,
    about_trade_off,
)

__all__ = ["study_diagrams", "write_diagrams"]


def _curves(
    summary: StudySummary, target: Path, names: Sequence[str], suffix: str = ""
) -> ReportFigure:
    """Sensitivity curves of some variants."""
    title = "How far the embedding moves" + (", alignments put on after training" if suffix else "")
    svg = save_figure(sensitivity_curves(summary, names), target, f"sensitivity{suffix}")
    return ReportFigure(title, svg, about_sensitivity(summary, names))


def study_diagrams(summary: StudySummary, target: Path) -> list[ReportFigure]:
    """Draws them into a folder as SVG and PNG; of classification, the first is the sensitivity
    curves."""
    cost = ReportFigure(
        "What it gives and costs",
        save_figure(accuracy_against_cost(summary), target, "cost"),
        about_cost(summary),
    )
    if summary.task == "segmentation":
        return [cost]
    diagrams = [_curves(summary, target, summary.trained)]
    if summary.applied:
        lent = [n for n in summary.variants if n in {*summary.applied.values()}]
        diagrams.append(_curves(summary, target, (*lent, *summary.applied), "_applied"))
    if summary.applied and summary.latency:
        diagrams.append(
            ReportFigure(
                "What stillness costs",
                save_figure(consistency_against_time(summary), target, "trade_off"),
                about_trade_off(summary),
            )
        )
    return [
        *diagrams,
        ReportFigure(
            "Does the class survive?",
            save_figure(consistency_bars(summary), target, "consistency"),
            about_consistency(summary),
        ),
        cost,
    ]


def write_diagrams(summary: StudySummary, record: Path) -> None:
    """Puts them into a study's record, as PNG."""
    with TemporaryDirectory() as folder, figure_style():
        study_diagrams(summary, Path(folder))
        for file in sorted(Path(folder).glob("*.png")):
            write_bytes(record / file.name, file.read_bytes())
