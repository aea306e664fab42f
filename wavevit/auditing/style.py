"""One look for audits and for the reports of studies: pages, colours, lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["FIGURE_STYLE", "PAGE_STYLE", "line_styles"]

PAGE_STYLE = """
:root { --ink: #1c2530; --soft: #5b6775; --line: #dde3ea; --accent: #0072B2; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); margin: 0; background: #fff; }
main { max-width: 80rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; }
p.kicker { color: var(--soft); margin: 0 0 .3rem; }
p.answer { font-size: 1.08rem; border-left: 4px solid var(--accent); padding-left: 1rem; }
figure { margin: 0; }
figure svg { width: 100%; height: auto; display: block; }
figure.picture svg { max-width: 46rem; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .95rem; margin-top: .5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; }
p, ul, figcaption { max-width: 62rem; }
th, td { padding: .4rem .42rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.words, th.words { text-align: left; white-space: normal; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
td small { color: var(--soft); }
td small.below { display: block; }
thead small { display: block; font-weight: normal; color: var(--soft); }
tr.baseline td { background: #f4f7fa; }
details { margin-top: 1rem; }
pre { overflow-x: auto; background: #f4f7fa; padding: 1rem; font-size: .85rem; }
.failed { color: #a3230f; }
"""

FIGURE_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "wavevit",  # equal figures are equal files
}

# Okabe & Ito: distinguishable with every common colour blindness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Of the backbones: a new one for each time that the colours come round.
_ROUNDS = (("-", "o"), ("-.", "<"), ("-", ">"))
_ADDED = "s^vDPX"  # six markers for seven colours: pairs of them come round after 42


def line_styles(variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Line styles: dashes for additions to a backbone (after ``+``), dots for additions after
    training (after ``then``). The colour is that of the backbone. A second, third, … addition to
    the same backbone has its own colour and marker.
    """
    parts = {name: re.split(r" *(\+|\bthen\b) *", name, maxsplit=1) for name in variants}
    bases = list(dict.fromkeys(part[0] for part in parts.values()))
    pairs = dict.fromkeys((part[0], part[2]) for part in parts.values() if len(part) > 1)
    firsts = dict(reversed(pairs))
    others = [pair for pair in pairs if firsts[pair[0]] != pair[1]]
    styles = {}
    for name, (base, *added) in parts.items():
        colour = bases.index(base)
        dash, marker = _ROUNDS[colour // len(_COLOURS) % len(_ROUNDS)]
        style = {"linestyle": dash, "marker": marker}
        if added:
            later = (base, added[1]) in others
            place = others.index((base, added[1])) + 1 if later else 0
            colour = len(bases) + place - 1 if later else colour
            dash = "--" if added[0] == "+" else ":"
            style = {"linestyle": dash, "marker": _ADDED[place % len(_ADDED)]}
        styles[name] = style | {"color": _COLOURS[colour % len(_COLOURS)]}
    return styles
