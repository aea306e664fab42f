"""The study's table as Markdown, for the README and the docs."""

from __future__ import annotations

from experiments.summary import StudySummary

__all__ = ["markdown_table", "replaced_between"]

_HEAD = (
    "| variant | top-1, % | C-Cons, % | S-Cons, % | HP-Cons, % | R(1 px) roll | R(1 px) crop "
    "| condition number | MMAC | time |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def markdown_table(summary: StudySummary) -> str:
    """Mean ± standard deviation over seeds, one row a variant."""
    rows = []
    for name in summary.variants:
        own, moved = summary.metrics[name], summary.sensitivity[name]
        cells = [f"`{name}`"]
        cells += [own[key].text(1) for key in ("top1", "circular", "crop", "subpixel")]
        cells += [moved[kind][1].text(3) for kind in ("circular", "crop")]
        cells += [own["lipschitz"].text(1), f"{own['macs'].mean / 1e6:.2f}"]
        ratio = summary.latency.get(name)
        cells.append(f"{ratio:.2f}" if ratio is not None else "not timed")
        rows.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(rows)


def replaced_between(page: str, begin: str, end: str, text: str) -> str:
    """The page with what stands between two marks replaced by `text` on lines of its own."""
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"
