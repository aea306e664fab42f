"""Rows of the main table of an audit, and bounds on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavevit.checks import check_choice, check_number, fail

__all__ = ["METRICS", "Bound", "Metric", "parse_bounds", "value_of"]

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A row of the main table.

    Attributes:
        title: title of the row.
        unit: unit in a few characters.
        better: ``"high"``, ``"low"``, or ``""`` if neither is better.
        section: name of the section that measures it.
        read: function from the section's figures to the value.
        digits: digits after the decimal point.
    """

    title: str
    unit: str
    better: str
    section: str
    read: Callable[[Figures], float]
    digits: int


def _at(kind: str, shift: float) -> Callable[[Figures], float]:
    def read(figures: Figures) -> float:
        return figures[kind]["values"][figures[kind]["shifts"].index(shift)]

    return read


def _percent(entry: str) -> Callable[[Figures], float]:
    return lambda figures: figures[entry]["percent"]


def _jump(figures: Figures) -> float:
    """The largest discontinuity; a change that vanishes with the step is none."""
    return figures["largest_jump"] if any(figures["jumps"]) else 0.0


def _zoom(figures: Figures) -> float:
    return figures["values"][figures["zooms"].index(1.41)]


# name: title, unit, better, section, read, digits
METRICS: dict[str, Metric] = {
    name: Metric(*row)
    for name, row in {
        "c_cons": ("C-Cons: circular shifts", "%", "high", "consistency", _percent("c_cons"), 1),
        "s_cons": ("S-Cons: crop shifts", "%", "high", "consistency", _percent("s_cons"), 1),
        "hp_cons": (
            "HP-Cons: half-pixel shifts",
            "%",
            "high",
            "consistency",
            _percent("hp_cons"),
            1,
        ),
        "worst_circular": (
            "class kept under all circular shifts",
            "%",
            "high",
            "worst_shift",
            _percent("circular"),
            1,
        ),
        "worst_crop": (
            "class kept under all crop shifts",
            "%",
            "high",
            "worst_shift",
            _percent("crop"),
            1,
        ),
        "r_circular": ("R(1 px), circular", "", "low", "sensitivity", _at("circular", 1.0), 4),
        "r_crop": ("R(1 px), crop", "", "low", "sensitivity", _at("crop", 1.0), 4),
        "r_subpixel": ("R(½ px), sub-pixel", "", "low", "sensitivity", _at("subpixel", 0.5), 4),
        "turnover": ("tokens changed by 1 px of crop", "%", "low", "tokens", _percent("crop"), 1),
        "map_roll": (
            "map error after a 1 px circular shift",
            "of its size",
            "low",
            "map",
            lambda f: f["circular"]["relative"],
            4,
        ),
        "map_crop": (
            "map error after a 1 px crop shift",
            "of its size",
            "low",
            "map",
            lambda f: f["crop"]["relative"],
            4,
        ),
        "condition": (
            "condition number ‖J‖‖x‖/‖f‖",
            "",
            "low",
            "continuity",
            lambda f: f["median_relative"],
            1,
        ),
        "jump": ("largest jump within 1 px", "of ‖f‖", "low", "jumps", _jump, 4),
        "zoom": ("change under zoom 1.41", "", "low", "scale", _zoom, 3),
        "rank": ("effective rank", "dim.", "", "rank", lambda f: f["rank"], 1),
        "parameters": ("parameters", "M", "low", "cost", lambda f: f["parameters"] / 1e6, 2),
        "gmacs": ("multiply-accumulates", "G", "low", "cost", lambda f: f["macs"] / 1e9, 3),
        "memory": ("peak of activations", "MB", "low", "cost", lambda f: f["peak_bytes"] / 1e6, 1),
    }.items()
}


def value_of(metric: str, sections: Mapping[str, Any]) -> float | None:
    """The value of a metric; None if its section was not measured."""
    entry = sections[METRICS[metric].section]
    return METRICS[metric].read(entry["figures"]) if entry["status"] == "measured" else None


@dataclass(frozen=True)
class Bound:
    """A bound on a metric, for CI.

    Attributes:
        metric: a key of `METRICS`.
        limit: lower limit of a metric that is better when high, upper limit of the others.

    Raises:
        ValueError: an unknown metric, or a limit that is not a finite number.
    """

    metric: str
    limit: float

    def __post_init__(self) -> None:
        check_choice("metric", self.metric, METRICS)
        check_number("limit", self.limit)

    def broken(self, sections: Mapping[str, Any]) -> str:
        """Why the bound is broken; empty if it holds. An unmeasured metric breaks its bound."""
        metric, value = METRICS[self.metric], value_of(self.metric, sections)
        if value is None:
            entry = sections[metric.section]
            why = entry.get("reason") or entry.get("error")
            return f"{self.metric} {entry['status']} ({why})"
        if metric.better == "high":
            return f"{self.metric} {value:g} is below {self.limit:g}" if value < self.limit else ""
        return f"{self.metric} {value:g} is above {self.limit:g}" if value > self.limit else ""


def parse_bounds(argument: str, items: Sequence[str], better: str) -> tuple[Bound, ...]:
    """Parses bounds such as ``s_cons=80``.

    Args:
        argument: name of the argument, for error messages.
        items: strings of the form ``NAME=NUMBER``.
        better: ``"high"`` for lower limits, ``"low"`` for upper limits.

    Raises:
        ValueError: another form, a name that has no such limit (the message lists the names), or a
            value that is not a finite number.
    """
    check_choice("better", better, ("high", "low"))
    if isinstance(items, str) or not isinstance(items, Sequence):
        fail(argument, "a sequence of strings NAME=NUMBER", repr(items))
    names = [name for name, metric in METRICS.items() if metric.better == better]
    bounds = []
    for item in items:
        name, equals, text = item.partition("=")
        if not equals:
            fail(argument, f"NAME=NUMBER, with one of {', '.join(names)}", repr(item))
        if name not in names:
            check_choice(argument, name, names)
        try:
            limit = float(text)
        except ValueError:
            fail(argument, f"a number after {name}=", repr(text))
        if not math.isfinite(limit):  # nothing is below NaN: such a bound would never break
            fail(argument, f"a finite number after {name}=", repr(text))
        bounds.append(Bound(name, limit))
    return tuple(bounds)
