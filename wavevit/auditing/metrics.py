"""The main table: one figure of each kind that can be set side by side, and bounds on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavevit.checks import check_choice, fail

__all__ = ["METRICS", "Bound", "Metric", "parse_bounds", "value_of"]

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A row of the main table.

    Attributes:
        title: of the row.
        unit: in a few characters.
        better: ``"high"``, ``"low"``, or ``""`` where neither is.
        section: that it comes from.
        read: the section's figures to the value.
        digits: behind the point.
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


METRICS: dict[str, Metric] = {
    "c_cons": Metric("C-Cons, rolls", "%", "high", "consistency", lambda f: f["c_cons"]["percent"], 1),
    "s_cons": Metric("S-Cons, crops", "%", "high", "consistency", lambda f: f["s_cons"]["percent"], 1),
    "hp_cons": Metric(
        "HP-Cons, half-pixel rolls", "%", "high", "consistency", lambda f: f["hp_cons"]["percent"], 1
    ),
    "worst_circular": Metric(
        "same class in a whole square of rolls", "%", "high", "worst_shift",
        lambda f: f["circular"]["percent"], 1,
    ),
    "worst_crop": Metric(
        "same class in a whole square of crops", "%", "high", "worst_shift",
        lambda f: f["crop"]["percent"], 1,
    ),
    "r_circular": Metric("R(1 px), roll", "", "low", "sensitivity", _at("circular", 1.0), 4),
    "r_crop": Metric("R(1 px), crop", "", "low", "sensitivity", _at("crop", 1.0), 4),
    "r_subpixel": Metric("R(½ px), sub-pixel", "", "low", "sensitivity", _at("subpixel", 0.5), 4),
    "turnover": Metric(
        "tokens that a 1-px crop changes", "%", "low", "tokens", lambda f: f["crop"]["percent"], 1
    ),
    "condition": Metric(
        "condition number ‖J‖‖x‖/‖f‖", "", "low", "continuity", lambda f: f["median_relative"], 1
    ),
    "jump": Metric("largest jump in 1 px", "of ‖f‖", "low", "jumps", lambda f: f["largest_jump"], 4),
    "zoom": Metric("change under zoom 1.41", "", "low", "scale", lambda f: f["values"][f["zooms"].index(1.41)], 3),
    "rank": Metric("effective rank", "dim.", "", "rank", lambda f: f["rank"], 1),
    "parameters": Metric("parameters", "M", "low", "cost", lambda f: f["parameters"] / 1e6, 2),
    "gmacs": Metric("multiply-accumulates", "G", "low", "cost", lambda f: f["macs"] / 1e9, 2),
    "memory": Metric("peak of activations", "MB", "low", "cost", lambda f: f["peak_bytes"] / 1e6, 1),
}


def value_of(metric: str, sections: Mapping[str, Any]) -> float | None:
    """The metric of a model's sections; None where its section was not measured."""
    entry = sections[METRICS[metric].section]
    return METRICS[metric].read(entry["figures"]) if entry["status"] == "measured" else None


@dataclass(frozen=True)
class Bound:
    """A metric that has to hold in somebody's CI.

    Attributes:
        metric: of `METRICS`.
        limit: the metric must not be below it (where high is better) or above it.
    """

    metric: str
    limit: float

    def broken(self, sections: Mapping[str, Any]) -> str:
        """What is wrong, in words; empty if the bound holds. What was not measured breaks it."""
        metric, value = METRICS[self.metric], value_of(self.metric, sections)
        if value is None:
            entry = sections[metric.section]
            why = entry.get("reason") or entry.get("error")
            return f"{self.metric} {entry['status']} ({why})"
        if metric.better == "high":
            return f"{self.metric} {value:g} is below {self.limit:g}" if value < self.limit else ""
        return f"{self.metric} {value:g} is above {self.limit:g}" if value > self.limit else ""


def parse_bounds(argument: str, items: Sequence[str], better: str) -> tuple[Bound, ...]:
    """Bounds such as ``s_cons=80``.

    Args:
        argument: its name, for complaints.
        items: ``NAME=NUMBER`` each.
        better: ``"high"`` for lower limits, ``"low"`` for upper ones.

    Raises:
        ValueError: another form, a name that has no such limit (the names are listed), or a
            value that is no number.
    """
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
            fail(argument, f"a number behind {name}=", repr(text))
        bounds.append(Bound(name, limit))
    return tuple(bounds)
