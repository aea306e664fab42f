"""A study's tables as Markdown, for the docs."""

from __future__ import annotations

from experiments.core.summary import METRICS, StudySummary
from experiments.core.table import Table

__all__ = ["markdown_curves", "markdown_table", "study_tables"]

_SHARES = (
    *("top1", "circular", "crop", "subpixel", "worst", "zoom_kept"),
    *("miou", "pixels", "edges", "kept_1", "kept_8"),
)


def _label(summary: StudySummary, name: str) -> str:
    return f"`{name}`" + (", after training" if name in summary.applied else "")


def markdown_table(summary: StudySummary) -> str:
    """Mean ± standard deviation over seeds, one row a variant."""
    first = summary.metrics[summary.variants[0]]
    measured = [name for name in _SHARES if name in first]
    steepness = ["lipschitz"] if "lipschitz" in first else []
    kinds = summary.sensitivity[summary.variants[0]]
    head = ["variant", *(f"{METRICS[name].title}, %" for name in measured)]
    head += [f"R(1 px) {'roll' if kind == 'circular' else kind}" for kind in kinds]
    head += [*("condition number" for _ in steepness), "MMAC", "time"]
    rows = []
    for name in summary.variants:
        own, ratio = summary.metrics[name], summary.latency.get(name)
        cells = [own[key].text(1) for key in measured]
        cells += [summary.sensitivity[name][kind][1].text(3) for kind in kinds]
        cells += [own[key].text(1) for key in steepness]
        time = "not timed" if ratio is None else f"{ratio:.2f}"
        rows.append([_label(summary, name), *cells, f"{own['macs'].mean / 1e6:.2f}", time])
    return Table(head, rows).markdown() + "\n"


def markdown_curves(summary: StudySummary, kind: str) -> str:
    """Sensitivity to shifts of one kind, a column for each number of pixels."""
    shifts = list(summary.sensitivity[summary.variants[0]][kind])
    head = ["variant", *(f"{'½' if shift == 0.5 else f'{shift:g}'} px" for shift in shifts)]
    rows = []
    for name in summary.variants:
        curve = summary.sensitivity[name][kind]
        rows.append([_label(summary, name), *(curve[shift].text(3) for shift in shifts)])
    return Table(head, rows).markdown() + "\n"


def study_tables(summary: StudySummary) -> dict[str, str]:
    """The tables of a study's record by the names of their files."""
    tables = {"table.md": markdown_table(summary)}
    if summary.applied:
        for kind in summary.sensitivity[summary.baseline]:
            tables[f"sensitivity_{kind}.md"] = markdown_curves(summary, kind)
    return tables
