"""One self-contained HTML page of a study: no script, no network, readable at any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.core.page_templates import render
from experiments.core.summary import StudySummary, metric_named
from experiments.reporting.figure import StudyFigure
from experiments.reporting.sentences import about_contrasts, headline
from wavevit.auditing.style import PAGE_STYLE
from wavevit.tasks import TASKS


def render_page(
    summary: StudySummary,
    figures: Sequence[tuple[StudyFigure, str]],
    command: str,
    tables: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The whole page as text.

    Args:
        summary: of the study.
        figures: each with its drawing as SVG.
        command: that makes the runs and the page.
        tables: that stand beside the study's own (`Answers.record`).
    """
    first = summary.variants[0]
    shown = [name for name in summary.metrics[first] if name not in ("parameters", "macs")]
    counts = sorted({len(seeds) for seeds in summary.seeds.values()})
    return render(
        "report.html.j2",
        summary=summary,
        style=PAGE_STYLE,
        headline=headline(summary),
        columns={name: metric_named(summary.task, name) for name in shown},
        arrows={"high": " ↑", "low": " ↓", "": ""},
        deciding=[metric_named(summary.task, name).title for name in summary.deciding],
        about=TASKS.get(summary.task).about(),
        contrasts=about_contrasts(summary),
        figures=figures,
        tables=tables,
        classes=summary.configs[first]["model"]["num_classes"],
        seeds=f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",
        environment=summary.environment,
        command=command,
    )
