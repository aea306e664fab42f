"""One self-contained HTML page: no script, no network, readable at any width."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.core.summary import DECIDING, METRICS, StudySummary
from experiments.reporting.sentences import about_contrasts, headline
from wavevit.auditing.style import PAGE_STYLE

__all__ = ["ReportFigure", "render_page"]


@dataclass(frozen=True)
class ReportFigure:
    """A figure with what it shows in words.

    Attributes:
        title: heading above it.
        svg: the drawing.
        caption: a sentence written from the numbers.
        kind: ``"diagram"`` or ``"picture"`` (narrower).
    """

    title: str
    svg: str
    caption: str
    kind: str = "diagram"


_COSTS = ("parameters", "macs")


def _main_table(summary: StudySummary) -> str:
    head = ["<th>variant</th>", "<th>seeds</th>"]
    shown = [name for name in summary.metrics[summary.variants[0]] if name not in _COSTS]
    for name in shown:
        metric = METRICS[name]
        arrow = {"high": " ↑", "low": " ↓", "": ""}[metric.better]
        unit = f"<small>{metric.unit}</small>" if metric.unit else ""
        head.append(f"<th>{metric.title}{arrow}{unit}</th>")
    kinds = list(summary.sensitivity[summary.variants[0]])
    head += [f"<th>R(1 px)<small>{kind} ↓</small></th>" for kind in kinds]
    head.append("<th>param.<small>thousands</small></th><th>MMAC</th>")
    head.append(f"<th>time<small>{html.escape(summary.baseline)} = 1</small></th>")
    rows = []
    for name in summary.variants:
        own = summary.metrics[name]
        after = '<small class="below">after training</small>' if name in summary.applied else ""
        cells = [f"<td>{html.escape(name)}{after}</td>", f"<td>{len(summary.seeds[name])}</td>"]
        cells += [f"<td>{own[key].text(METRICS[key].digits)}</td>" for key in shown]
        for kind in kinds:
            cells.append(f"<td>{summary.sensitivity[name][kind][1].text(3)}</td>")
        cells.append(f"<td>{own['parameters'].mean / 1e3:,.0f}</td>")
        cells.append(f"<td>{own['macs'].mean / 1e6:.2f}</td>")
        ratio = summary.latency.get(name)
        cells.append(f"<td>{ratio:.2f}</td>" if ratio is not None else "<td>not timed</td>")
        mark = ' class="baseline"' if name == summary.baseline else ""
        rows.append(f"<tr{mark}>{''.join(cells)}</tr>")
    return _table(head, rows)


def _contrast_table(summary: StudySummary) -> str:
    head = [
        "<th>variant</th>",
        '<th class="words">against</th>',
        '<th class="words">field changed</th>',
    ]
    titles = (METRICS[name].title for name in DECIDING[summary.task])
    head += [f'<th class="words">{title}, paired</th>' for title in titles]
    rows = []
    for variant, *rest in about_contrasts(summary):
        cells = "".join(f'<td class="words">{html.escape(text)}</td>' for text in rest)
        rows.append(f"<tr><td>{html.escape(variant)}</td>{cells}</tr>")
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _troubles(summary: StudySummary) -> str:
    items = [f"{run} failed: {reason}" for run, reason in summary.failed.items()]
    items += [f"{run} is not complete" for run in summary.missing]
    if not items:
        return ""
    listed = "".join(f"<li>{html.escape(item)}</li>" for item in items)
    return f'<h2>Runs that are not in these figures</h2><ul class="failed">{listed}</ul>'


_MEASURES = {
    "classification": """
<b>C-Cons, S-Cons, HP-Cons</b>: share of pairs of random shifts of one picture with the same top-1
class: circular shifts up to ±1/7 of the side; two crops of a window 8/7 as large; circular shifts,
one of the two half a pixel further. <b>worst of ±8 px</b>: share of pictures that are right for
all 81 crops within 8 pixels, two pixels apart. <b>after training</b>: the weights of another
variant, with an alignment added after training. <b>R(s)</b>: change of the pooled embedding under
a shift by s pixels, divided by the mean distance between different pictures' embeddings.
<b>‖J‖‖x‖/‖f‖</b>: condition number at a picture, the largest singular value of the Jacobian of the
embedding, relative; median over pictures. Results for circular shifts do not carry over to crops:
a circular shift brings back on one side what it removes from the other, a camera does not.""",
    "segmentation": """
<b>mIoU</b>: intersection over union of each class over all pixels of all pictures, mean over
classes. <b>pixels right</b>: all of them, and those that have a pixel of the other photograph
within 4 pixels. <b>kept</b>: share of the pixels in both of two crops that keep their class, right
or wrong, when the crop moves to the right by so many pixels.""",
}
_TASKS = {
    "classification": "Task <i>scenes</i>: which of {classes} photographs is a grey crop from?",
    "segmentation": (
        "Task <i>composites</i>: grey crops of two of {classes} photographs on two sides of a "
        "smooth random border; which pixel is of which photograph?"
    ),
}
_GLOSSARY = """
<h2>What the columns mean</h2>
<p>{measures} <b>MMAC</b>: million multiply-accumulates of one forward pass,
attention products and wavelet steps counted. <b>time</b>: forward pass of a batch of
{timed_batch}, timed interleaved, median ratio. Figures are mean ± sample standard deviation over
seeds. A paired difference comes with its 95 % interval (Student's t over seeds) and is called
<i>higher</i> or <i>lower</i> where that leaves out zero, else <i>inconclusive</i>; three seeds
find only large effects.</p>
"""


def render_page(summary: StudySummary, figures: Sequence[ReportFigure], command: str) -> str:
    """The whole page as text."""
    counts = sorted({len(seeds) for seeds in summary.seeds.values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    environment = summary.environment
    classes = summary.configs[summary.variants[0]]["model"]["num_classes"]
    drawn = "".join(
        f"<h2>{html.escape(f.title)}</h2>"
        f'<figure class="{f.kind}">{f.svg}'
        f"<figcaption>{html.escape(f.caption)}</figcaption></figure>"
        for f in figures
    )
    device = html.escape(
        f"{environment['device_name']}, {environment['threads']} thread(s) per run"
    )
    packages = ", ".join(f"{k} {v}" for k, v in environment["packages"].items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wavevit: {html.escape(summary.study)}</title>
<style>{PAGE_STYLE}</style>
</head>
<body><main>
<p class="kicker">wavevit study <b>{html.escape(summary.study)}</b></p>
<h1>{html.escape(summary.question)}</h1>
<p class="answer">{headline(summary)}</p>
<h2>The table</h2>
{_main_table(summary)}
<h2>One field at a time</h2>
{_contrast_table(summary)}
{_troubles(summary)}
{drawn}
{_GLOSSARY.format(measures=_MEASURES[summary.task], timed_batch=summary.timed_batch)}
<h2>How this was made</h2>
<p>{_TASKS[summary.task].format(classes=classes)}
Training crops come from the left half of each photograph, test crops from the right half.
Equal steps for all variants, {seeds} seeds. Trained on {device}. Command:
<code>{html.escape(command)}</code>.</p>
<details><summary>Versions</summary><p>Python {html.escape(environment["python"])},
{html.escape(packages)}, {html.escape(environment["platform"])}</p></details>
</main></body>
</html>
"""
