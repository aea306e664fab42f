"""A study's tables as Markdown, for the README and the docs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from experiments.core.budgets import budgets_table
from experiments.core.experiment import View
from experiments.core.summary import StudySummary, metric_named, pixels
from experiments.core.table import Table
from wavevit.tasks import TASKS

SHARES = (
    *("tokens", "top1", "balanced", "circular", "crop", "subpixel", "worst", "zoom_kept"),
    *("miou", "pixels", "edges", "kept_1", "kept_8"),
    *("jitter_1", "jitter_2", "jitter_4", "jitter_8"),
)


def _label(summary: StudySummary, name: str) -> str:
    return f"`{name}`" + (", after training" if name in summary.applied else "")


def _shown(summary: StudySummary) -> list[str]:
    """Metrics in the table: a choice where the task has one, or else all."""
    found = summary.metrics[summary.variants[0]]
    own = summary.task != "segmentation" or summary.on_composites
    chosen = [name for name in SHARES if name in found and own]
    chosen = chosen or [name for name in TASKS.get(summary.task).columns if name in found]
    return chosen or [name for name in found if name not in ("parameters", "macs")]


def markdown_table(summary: StudySummary) -> str:
    """Mean ± standard deviation over seeds, one row a variant."""
    measured = _shown(summary)
    columns = [metric_named(summary.task, name) for name in measured]
    head = ["variant", *(column.heading for column in columns)]
    kinds = summary.sensitivity[summary.variants[0]]
    head += [f"R(1 px) {kind}" for kind in kinds]
    steepness = "lipschitz" in summary.metrics[summary.variants[0]]
    head += [*(["condition number"] if steepness else []), "MMAC", "time"]
    rows = []
    for name in summary.variants:
        own, moved = summary.metrics[name], summary.sensitivity[name]
        cells = [_label(summary, name)]
        cells += [column.text(own[key]) for key, column in zip(measured, columns, strict=True)]
        cells += [moved[kind][1].shown(3) for kind in kinds]
        cells += [own["lipschitz"].shown(1)] if steepness else []
        cells.append(f"{own['macs'].mean / 1e6:.2f}")
        ratio = summary.latency.get(name)
        cells.append(f"{ratio:.2f}" if ratio is not None else "not timed")
        rows.append(cells)
    return Table(head, rows).markdown() + "\n"


def markdown_curves(summary: StudySummary, kind: str) -> str:
    """Sensitivity to shifts of one kind, a column for each number of pixels."""
    shifts = list(summary.sensitivity[summary.variants[0]][kind])
    head = ["variant", *(f"{pixels(shift)} px" for shift in shifts)]
    rows = []
    for name in summary.variants:
        curve = summary.sensitivity[name][kind]
        rows.append([_label(summary, name), *(curve[shift].shown(3) for shift in shifts)])
    return Table(head, rows).markdown() + "\n"


def study_views(folder: Path, summary: StudySummary) -> tuple[View, ...]:
    """The files of Markdown that stand beside a study's record."""
    kinds = summary.sensitivity[summary.baseline] if summary.applied else ()
    curves = (
        View(folder / f"sensitivity_{kind}.md", partial(markdown_curves, kind=kind))
        for kind in kinds
    )
    swept = [View(folder / "budgets.md", budgets_table)] if summary.budgets else []
    return (View(folder / "table.md", markdown_table), *curves, *swept)


def _answer_table(name: str, record: Mapping[str, Any]) -> str:
    own = record["tables"][name]
    return Table(own["head"], own["rows"]).markdown() + "\n"


def answer_views(folder: Path, record: Mapping[str, Any]) -> tuple[View, ...]:
    """The files of Markdown with the tables of the record ``pictures.json``, if it has any."""
    return tuple(
        View(folder / f"{name}.md", partial(_answer_table, name))
        for name in record.get("tables", ())
    )
