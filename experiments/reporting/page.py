"""One self-contained HTML page of a study: no script, no network, readable at any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.core.page_templates import render
from experiments.core.summary import StudySummary, deciding, metric_named
from experiments.reporting.sentences import about_contrasts, headline
from experiments.reporting.study_figures import StudyFigure
from wavevit.auditing.style import PAGE_STYLE
from wavevit.tasks import TASKS

_COSTS = ("parameters", "macs")


def _rows(summary: StudySummary, shown: Sequence[str]) -> list[dict[str, Any]]:
    """The cells of the main table behind each variant's name."""
    rows = []
    for name in summary.variants:
        own, moved = summary.metrics[name], summary.sensitivity[name]
        ratio = summary.latency.get(name)
        cells = [str(len(summary.seeds[name]))]
        cells += [metric_named(summary.task, key).text(own[key]) for key in shown]
        cells += [curve[1].text(3) for curve in moved.values()]
        cells += [f"{own['parameters'].mean / 1e3:,.0f}", f"{own['macs'].mean / 1e6:.2f}"]
        cells.append("not timed" if ratio is None else f"{ratio:.2f}")
        rows.append({"name": name, "cells": cells})
    return rows


def render_page(
    summary: StudySummary, figures: Sequence[tuple[StudyFigure, str]], command: str
) -> str:
    """The whole page as text; each figure comes with its drawing as SVG."""
    first = summary.variants[0]
    shown = [name for name in summary.metrics[first] if name not in _COSTS]
    counts = sorted({len(seeds) for seeds in summary.seeds.values()})
    return render(
        "report.html.j2",
        summary=summary,
        style=PAGE_STYLE,
        headline=headline(summary),
        metrics=[metric_named(summary.task, name) for name in shown],
        arrows={"high": " ↑", "low": " ↓", "": ""},
        kinds=list(summary.sensitivity[first]),
        rows=_rows(summary, shown),
        deciding=[metric_named(summary.task, name).title for name in deciding(summary.task)],
        about=TASKS.get(summary.task).about(),
        contrasts=about_contrasts(summary),
        figures=figures,
        classes=summary.configs[first]["model"]["num_classes"],
        seeds=f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",
        environment=summary.environment,
        command=command,
    )
