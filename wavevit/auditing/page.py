"""HTML page of an audit: self-contained, without scripts or network, for any screen width."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wavevit.auditing.cells import cell, normalized
from wavevit.auditing.figures import (
    attention_panel,
    scale_panel,
    sensitivity_panels,
    spectrum_panel,
)
from wavevit.auditing.heat import heat_table
from wavevit.auditing.metrics import METRICS
from wavevit.auditing.sections import HEAT_KINDS
from wavevit.auditing.style import PAGE_STYLE, line_styles
from wavevit.auditing.verdicts import pictures

if TYPE_CHECKING:
    from wavevit.auditing.report import AuditReport

__all__ = ["render_page"]

_STYLE = (
    PAGE_STYLE
    + """
main { max-width: 68rem; }
h1 { overflow-wrap: anywhere; }
h2 + p { margin-top: 0; }
p, ul, figcaption { max-width: 46rem; }
p.aside { color: var(--soft); font-size: .95rem; }
.panels { display: grid; gap: 1.2rem 1.6rem; grid-template-columns:
  repeat(auto-fit, minmax(min(18.5rem, 100%), 1fr)); margin: 1rem 0; }
.panels figure { max-width: 30rem; }
.panels figcaption { margin: 0 0 .2rem; color: var(--ink); font-weight: 600; }
.panels svg { overflow: visible; }
figure svg text { font-family: inherit !important; }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; padding: 0;
  margin: .6rem 0 0; max-width: none; font-size: .9rem; }
ul.legend svg { width: 2.1rem; height: .8rem; vertical-align: middle; margin-right: .45rem; }
ul.verdicts { list-style: none; padding: 0; margin: 1rem 0; max-width: none; display: grid;
  gap: .9rem 1.6rem; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); }
ul.verdicts li { border-left: 4px solid var(--line); padding: .05rem 0 .05rem .8rem;
  max-width: 34rem; font-size: .95rem; }
ul.verdicts b { display: block; overflow-wrap: anywhere; }
li.good { border-color: #009E73 !important; } li.fair { border-color: #E69F00 !important; }
li.poor { border-color: #D55E00 !important; }
ul.verdicts small { color: var(--soft); font-weight: normal; }
ul.four { grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
td.best { font-weight: 600; }
.scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: #fff; }
th.model { white-space: normal; min-width: 5.5rem; max-width: 12rem; }
td:first-child { white-space: normal; min-width: 9.5rem; }
td small { color: var(--soft); }
.heat { display: flex; gap: .4rem; max-width: 42rem; }
.heat span { flex: 1 1 0; min-width: 0; }
.heat img { width: 100%; aspect-ratio: 1; display: block; border-radius: 2px; }
.heat img.tokens { image-rendering: pixelated; }
.heat small { display: block; text-align: center; color: var(--soft); font-size: .82rem; }
p.heat-name { margin: .7rem 0 .2rem; font-size: .92rem; overflow-wrap: anywhere; }
.maps { display: grid; gap: 1rem 3rem; grid-template-columns:
  repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); }
.scale { height: .6rem; max-width: 14rem; border-radius: 2px; background: linear-gradient(90deg,
  #000004, #3b0f70, #8c2981, #de4968, #fe9f6d, #fcfdbf); }
.beside { display: grid; gap: 0 2.5rem; align-items: start; margin-top: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
.beside .panels { margin: .4rem 0 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; }
  table { font-size: .72rem; } th, td { padding: .35rem .16rem; } th.model { min-width: 0; }
  td:first-child { min-width: 5.4rem; max-width: 5.4rem; }
  main { padding: 1.2rem 1rem 3rem; } h1 { font-size: 1.4rem; } }
"""
)

_GRADES = {"good": "good", "fair": "fair", "poor": "poor", "note": ""}

# Section: heading, what it shows, what it does not mean.
_WORDS = {
    "sensitivity": (
        "Sensitivity: how much a shift changes the embedding",
        "The change of the pooled features under a shift, divided by the mean distance between "
        "two different pictures: 0 is invariant, 1 is as different as another picture.",
        "Invariance to circular shifts is not invariance to a moving camera: in a circular shift, "
        "what leaves on one side enters on the other. Bands are 95 % intervals over pictures.",
    ),
    "consistency": (
        "Consistency: does a shift change the class?",
        "The share of pairs of random shifts of one picture that get the same top-1 class.",
        "This is not accuracy: a model with one constant answer is consistent.",
    ),
    "worst_shift": (
        "Worst shift: does any shift in a small square change the class?",
        "The share of pictures that keep their class under every shift in a square.",
        "The class is the model's own class of the unmoved picture, right or wrong.",
    ),
    "tokens": (
        "Tokens: which tokens change",
        "The change of each of the last tokens when the picture moves, as a share of the "
        "tokens' size, after the best circular shift by whole tokens. So if tokens only change "
        "places, this counts as no change.",
        "The maps show one picture; the verdict counts tokens over several pictures.",
    ),
    "map": (
        "Map: does the map follow the picture?",
        "The difference between the map of a moved picture and the moved map of the picture, as a "
        "share of the map's size. The map is the output if that is a map, else the last tokens.",
        "A shift by less than one position of the map is interpolated, so a coarse map cannot be "
        "exact.",
    ),
    "attention": (
        "Attention distance: how far attention reaches",
        "The mean distance in pixels between a token and the tokens that it attends to. Each dot "
        "is a head, the line is the mean.",
        "Distance is not importance: a layer may attend far away and change little.",
    ),
    "continuity": (
        "Continuity: how steep the model is",
        "The leading singular values of the Jacobian of the embedding at one picture: the slopes "
        "in the steepest directions.",
        "These are slopes at pictures; they bound nothing between pictures.",
    ),
    "jumps": (
        "Jumps: is the model discontinuous?",
        "The picture moves by one pixel in smaller and smaller steps. A change of the output that "
        "does not shrink with the step is a discontinuity.",
        "The scan covers a few paths only.",
    ),
    "scale": (
        "Scale: how much zoom changes the embedding",
        "The change of the embedding when the picture is zoomed in or out, in the same unit "
        "as for shifts.",
        "A zoomed picture also shows less, so some change is right.",
    ),
    "rank": (
        "Rank: how many dimensions the embedding uses",
        "The effective rank of the embeddings of several crops of each picture.",
        "The number of pictures limits the rank: compare models of one audit only.",
    ),
    "cost": (
        "Cost",
        "One forward pass of one picture, with attention products, wavelets and FFTs.",
        "Multiply-accumulates are not time; the table has the time relative to the first model.",
    ),
}


def _name(model: str) -> str:
    """A model's name as HTML, with places for line breaks."""
    return re.sub(r"(?<=[_+/:])", "<wbr>", html.escape(model))


def _unbroken(words: str) -> str:
    """A sentence as HTML, without line breaks between numbers and units."""
    return re.sub(r" (?=(%|px|G|M|MB)\b|%)", "&nbsp;", html.escape(words))


def render_page(report: AuditReport) -> str:
    """The whole page as text."""
    record, first = report.record, report.record["models"][0]
    sections = first["sections"]
    # A quick audit does not measure jumps; their section below gives the reason.
    leading = ("sensitivity",) if record.get("quick") else ("sensitivity", "jumps")
    lead = " ".join(dict.fromkeys(sections[n]["verdict"] for n in leading))
    others = report.models[1:]
    beside = f", against {', '.join(map(_name, others))}" if others else ""
    # Records of earlier versions lack the newest sections.
    body = "".join(_section(name, report) for name in _WORDS if name in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wavevit audit: {html.escape(first["name"])}</title>
<style>{_STYLE}</style>
</head>
<body><main>
<p class="kicker">wavevit audit{beside}</p>
<h1>{_name(first["name"])}</h1>
<p class="answer">{_unbroken(lead)}</p>
<h2>Main table</h2>
{_table(report)}
{_notes(record)}
{body}
{_making(record)}
</main></body>
</html>
"""


def _table(report: AuditReport) -> str:
    entries = report.record["models"]
    head = "".join(f'<th class="model">{_name(name)}</th>' for name in report.models)
    rows = []
    for name, metric in METRICS.items():
        if name not in entries[0]["metrics"]:  # a record of an earlier version
            continue
        values = [entry["metrics"][name] for entry in entries]
        known = [value for value in values if value is not None]
        best = {"high": max, "low": min, "": None}[metric.better]
        winner = best(known) if best and len(set(known)) > 1 else None
        arrow = {"high": " ↑", "low": " ↓", "": ""}[metric.better]
        unit = f" <small>{html.escape(metric.unit)}</small>" if metric.unit else ""
        cells = "".join(
            f"<td{' class=best' if value is not None and value == winner else ''}>"
            f"{cell(value, metric.digits)}</td>"
            for value in values
        )
        rows.append(f"<tr><td>{html.escape(metric.title)}{unit}{arrow}</td>{cells}</tr>")
    times = report.record["timings"]["time"]
    if times:
        cells = "".join(f"<td>{cell(times[name], 2)}</td>" for name in report.models)
        rows.append(f"<tr><td>time <small>first model = 1</small> ↓</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _notes(record: Mapping[str, Any]) -> str:
    """Notes above the sections: random weights, failures, skipped pictures."""
    notes = []
    random = [entry["name"] for entry in record["models"] if entry["weights"] == "random"]
    if random:
        names = html.escape(", ".join(random))
        notes.append(
            f"<b>Random weights</b> (seed {record['seed']}): {names}. The figures describe the "
            "architecture before training, not a trained network."
        )
    troubles = [
        f"{html.escape(entry['name'])}: {name}"
        for entry in record["models"]
        for name, section in entry["sections"].items()
        if section["status"] == "failed"
    ]
    if troubles:
        notes.append(f'<b class="failed">Failed:</b> {"; ".join(troubles)}.')
    for entry in record["models"]:
        notes += [f"{html.escape(entry['name'])}: {html.escape(note)}." for note in entry["notes"]]
    skipped = record["images"]["skipped"]
    if skipped:
        listed = html.escape("; ".join(f"{s['name']} ({s['reason']})" for s in skipped))
        notes.append(f"<b>{len(skipped)} {pictures(len(skipped))} skipped:</b> {listed}.")
    read = record["images"].get("notes")  # records of earlier versions have none
    if read:
        notes.append(f"<b>Pictures:</b> {html.escape('; '.join(read))}")
    return "".join(f'<p class="aside">{note}</p>' for note in notes)


def _section(name: str, report: AuditReport) -> str:
    title, shows, limits = _WORDS[name]
    found = {
        model: report.sections(model)[name]["figures"]
        for model in report.models
        if report.sections(model)[name]["status"] == "measured"
    }
    drawn = ""
    if found and name in _DRAWINGS:
        drawn = _DRAWINGS[name](found, report)
    elif found and name in _SINGLE:
        drawn = _panels(found, [("", _SINGLE[name](found))])
    items = []
    for model in report.models:
        entry = report.sections(model)[name]
        grade = _GRADES[entry["grade"]]
        word = f" <small>{grade}</small>" if grade else ""
        klass = f' class="{grade}"' if grade else ""
        words = _unbroken(entry["verdict"])
        items.append(f"<li{klass}><b>{_name(model)}{word}</b>{words}</li>")
    # Four in rows of two: three and one looks as if one were missing.
    four = " four" if len(items) == 4 else ""
    verdicts = f'<ul class="verdicts{four}">{"".join(items)}</ul>'
    content = drawn + verdicts
    if drawn and name in _SINGLE:  # one panel leaves room for the words
        content = f'<div class="beside"><div>{drawn}</div>{verdicts}</div>'
    return f'<h2 id="{name}">{title}</h2><p>{shows}</p>{content}<p class="aside">{limits}</p>'


Found = Mapping[str, Mapping[str, Any]]


def _legend(names: Any) -> str:
    items = []
    for name, style in line_styles(list(names)).items():
        dash = {"-": "", "--": "7 3", ":": "1.5 3", "-.": "7 3 1.5 3"}[style["linestyle"]]
        line = (
            f'<svg viewBox="0 0 34 12" aria-hidden="true"><path d="M1 6h32" '
            f'stroke="{style["color"]}" stroke-width="2.4" stroke-dasharray="{dash}"/></svg>'
        )
        items.append(f"<li>{line}{html.escape(name)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def _panels(found: Found, panels: list[tuple[str, str]]) -> str:
    drawn = "".join(
        f"<figure>{f'<figcaption>{title}</figcaption>' if title else ''}{svg}</figure>"
        for title, svg in panels
    )
    return f'{_legend(found)}<div class="panels">{drawn}</div>'


def _heat(found: Found, report: AuditReport) -> str:
    sizes = {entry["name"]: entry["size"] for entry in report.record["models"]}
    # The picture is shown at the size of the first model; maps of others have their own tokens.
    size = sizes[next(iter(found))]
    same = {name: figures for name, figures in found.items() if sizes[name] == size}
    maps = "".join(
        f"<div>{heat_table(kind, same, report.picture, size)}</div>" for kind in HEAT_KINDS
    )
    return (
        f'<div class="maps">{maps}</div><p class="aside">Black: no change. White: a change '
        'as large as a token. Below each map: its mean.</p><div class="scale"></div>'
    )


_DRAWINGS: dict[str, Callable[[Found, AuditReport], str]] = {
    "sensitivity": lambda found, _: _panels(found, sensitivity_panels(found)),
    "tokens": _heat,
}
_SINGLE: dict[str, Callable[[Found], str]] = {
    "attention": attention_panel,
    "continuity": spectrum_panel,
    "scale": scale_panel,
}


def _making(record: Mapping[str, Any]) -> str:
    images, environment = record["images"], record["environment"]
    counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in record["samples"].items())
    used = f"{len(images['used'])} from {images['source']}: {', '.join(images['used'])}"
    enlarged = {name for names in images["enlarged"].values() for name in names}
    if enlarged:
        used += f". Enlarged, because smaller than the window: {', '.join(sorted(enlarged))}"
    lines = {
        "Pictures": used,
        "Window": "10/7 of the model's input, scaled to the short side of each picture. The crop "
        "is its middle; a crop shift is a crop at another place in the window.",
        "Samples": counts,
        "Seed": str(record["seed"]),
        "Versions": ", ".join(f"{k} {v}" for k, v in environment["packages"].items())
        + f", Python {environment['python']}",
        "Machine": f"{environment['platform']}, {environment['device']}, "
        f"{environment['threads']} thread(s)",
    }
    for entry in record["models"]:
        alignment = entry["alignment"]
        aligned = f"; aligned by {alignment['method']}" if alignment else ""
        lines[entry["name"]] = (
            f"{entry['weights']} weights, {entry['channels']} × {entry['size']} × {entry['size']}, "
            f"{entry['precision']}, {normalized(entry)}; output: {entry['output']}; embedding: "
            f"{entry['embedding']}; tokens: {entry['tokens']}{aligned}"
        )
    listed = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>" for key, value in lines.items()
    )
    return f"<h2>How this was made</h2><dl>{listed}</dl>"
