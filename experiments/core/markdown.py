"""The study's table as Markdown, for the README and the docs."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.core.summary import METRICS, StudySummary

__all__ = ["markdown_curves", "markdown_table", "replaced_between", "table"]

SHARES = (
    *("top1", "circular", "crop", "subpixel", "worst", "zoom_kept"),
    *("miou", "pixels", "edges", "kept_1", "kept_8"),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells below a head."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines).replace(" --- ", "---")


def _label(summary: StudySummary, name: str) -> str:
    return f"`{name}`" + (", after training" if name in summary.applied else "")


def markdown_table(summary: StudySummary) -> str:
    """Mean ± standard deviation over seeds, one row a variant."""
    measured = [name for name in SHARES if name in summary.metrics[summary.variants[0]]]
    head = ["variant", *(f"{METRICS[name].title}, %" for name in measured)]
    kinds = summary.sensitivity[summary.variants[0]]
    head += [f"R(1 px) {'roll' if kind == 'circular' else kind}" for kind in kinds]
    steepness = "lipschitz" in summary.metrics[summary.variants[0]]
    head += [*(["condition number"] if steepness else []), "MMAC", "time"]
    rows = []
    for name in summary.variants:
        own, moved = summary.metrics[name], summary.sensitivity[name]
        cells = [_label(summary, name)]
        cells += [own[key].text(1) for key in measured]
        cells += [moved[kind][1].text(3) for kind in kinds]
        cells += [own["lipschitz"].text(1)] if steepness else []
        cells.append(f"{own['macs'].mean / 1e6:.2f}")
        ratio = summary.latency.get(name)
        cells.append(f"{ratio:.2f}" if ratio is not None else "not timed")
        rows.append(cells)
    return table(head, rows)


def markdown_curves(summary: StudySummary, kind: str) -> str:
    """Sensitivity to shifts of one kind, a column for each number of pixels."""
    shifts = list(summary.sensitivity[summary.variants[0]][kind])
    head = ["variant", *(f"{'½' if shift == 0.5 else f'{shift:g}'} px" for shift in shifts)]
    rows = []
    for name in summary.variants:
        curve = summary.sensitivity[name][kind]
        rows.append([_label(summary, name), *(curve[shift].text(3) for shift in shifts)])
    return table(head, rows)


def replaced_between(page: str, begin: str, end: str, text: str) -> str:
    """The page with what stands between two marks replaced by `text` on lines of its own."""
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"
