"""C21: are a few phases enough?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.effect import Effect
from experiments.claims.measured import between, text_of
from experiments.claims.verdict import judge
from experiments.core.statistic import Statistic
from experiments.core.style import labelled_below
from experiments.core.table import Table
from experiments.measurements.few_phases import CONTROL, PHASES, phases_of

_RECORD = "few_phases/measurement.json"
_ONE, _FEW, _ALL = phases_of(1), phases_of(4), phases_of(PHASES[-1])
_HALF = f"half of the gain of {_ALL}"
# By key of the record: title, unit, decimals, and the sign of a gain.
_OF_CLASSES = {
    "sensitivity": ("R(1 px), crop shift", "", 3, "lower"),
    "consistency": ("S-Cons", "points", 1, "higher"),
    "worst": ("worst of 81 crops", "points", 1, "higher"),
}
_OF_PIXELS = {"kept": ("pixels kept, crop shift by 1 px", "points", 2, "higher")}
_COLUMNS = {
    "classification": {
        "top1": ("top-1, %", 1),
        "sensitivity": ("R(1 px) crop", 3),
        "consistency": ("S-Cons, %", 1),
        "worst": ("worst of 81, %", 1),
    },
    "segmentation": {"pixels": ("pixels right, %", 1), "kept": ("pixels kept, %", 2)},
}


def _compared(
    found: Mapping[str, Any], variant: str, baseline: str, key: str, word: tuple[str, str, int, str]
) -> Effect:
    """Variant minus baseline, in the record's pairs; shown, deciding nothing."""
    title, unit, digits, _ = word
    over = "composites" if key in _OF_PIXELS else "photographs"
    own, other = found[variant][key], found[baseline][key]
    return between(variant, own, baseline, other, title, unit=unit, digits=digits, over=over)


def _most(found: Mapping[str, Any], key: str, word: tuple[str, str, int, str]) -> Effect:
    """What 4 phases gain, minus half of what all gain."""
    title, unit, digits, sign = word
    over = "composites" if key in _OF_PIXELS else "photographs"
    one, few, every = (found[name][key] for name in (_ONE, _FEW, _ALL))
    gained = [b - a for a, b in zip(one, few, strict=True)]
    half = [0.5 * (c - a) for a, c in zip(one, every, strict=True)]
    return between(
        f"gain of {_FEW}",
        gained,
        _HALF,
        half,
        title,
        unit=unit,
        digits=digits,
        predicted=sign,
        over=over,
    )


def _table(found: Mapping[str, Any], columns: Mapping[str, tuple[str, int]]) -> str:
    head = ["model", "calls", *(title for title, _ in columns.values()), "MMAC"]
    rows = [
        [
            f"`{name}`",
            str(own["calls"]),
            *(text_of(own[key], digits) for key, (_, digits) in columns.items()),
            f"{own['macs'] / 1e6:.0f}",
        ]
        for name, own in found.items()
    ]
    return Table(head, rows).markdown()


def _find(records: Mapping[str, Any]) -> Finding:
    record = records[_RECORD]
    classes, pixels = record["classification"], record["segmentation"]
    places = [(classes, _OF_CLASSES), (pixels, _OF_PIXELS)]
    deciding = [_most(found, key, word) for found, words in places for key, word in words.items()]
    pairs = [(_ALL, _ONE), (_FEW, _ONE), (_FEW, CONTROL), (_FEW, "blur"), (_FEW, "dtcwt")]
    shown = [
        _compared(found, *pair, key, word)
        for pair in pairs
        for found, words in places
        for key, word in words.items()
    ]
    body = (
        f"Classes of {record['crops']} crops, mean [95 % interval] over photographs:",
        _table(classes, _COLUMNS["classification"]),
        "Classes of pixels, mean [95 % interval] over composites of two photographs:",
        _table(pixels, _COLUMNS["segmentation"]),
    )
    return Finding(judge(deciding), (*deciding, *shown), body)


def _curve(axis: Any, found: Mapping[str, Any], key: str, title: str) -> None:
    statistics = [Statistic.of(found[phases_of(count)][key]) for count in PHASES]
    means = [one.mean for one in statistics]
    bars = (
        [one.mean - one.ends()[0] for one in statistics],
        [one.ends()[1] - one.mean for one in statistics],
    )
    axis.errorbar(PHASES, means, yerr=bars, fmt="o-", markersize=4, capsize=2, label="K phases")
    for name, marker in ((CONTROL, "x"), ("blur", "s"), ("dtcwt", "D")):
        mean = Statistic.of(found[name][key]).mean
        axis.plot(found[name]["calls"], mean, marker, markersize=6, label=name, linestyle="")
    axis.set_xscale("log", base=4)
    axis.set_xticks(PHASES, [str(count) for count in PHASES])
    axis.set_xlabel("calls of the model", fontsize=8)
    axis.set_title(title, fontsize=9)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    record = records[_RECORD]
    panels = [("classification", key) for key in _OF_CLASSES]
    panels += [("segmentation", key) for key in _OF_PIXELS]
    figure, axes = plt.subplots(1, len(panels), figsize=(10.4, 3.2))
    for axis, (part, key) in zip(axes, panels, strict=True):
        _curve(axis, record[part], key, _COLUMNS[part][key][0])
    labelled_below(figure, axes[0], 4)
    return figure


CLAIM = Claim(
    id="C21",
    sentence=("A few phases are enough: 4 phases give most of what all P² give."),
    records=(_RECORD,),
    find=_find,
    draw=_draw,
    alt="Crop sensitivity, S-Cons, worst case and kept pixels against the number of phases",
)
