"""Verdicts: sentences and grades from the figures of a section. Thresholds: `THRESHOLDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wavevit.auditing.cells import cell

__all__ = ["GRADES", "THRESHOLDS", "Verdict", "pictures", "verdict_of"]

GRADES = ("good", "fair", "poor", "note")

# (value, reason) each; a test checks that docs/audit.md has the same list.
THRESHOLDS: dict[str, tuple[float, str]] = {
    "exact": (1e-4, "R that rounding in float32 can cause"),
    "still": (
        0.02,
        "R(1 px): the best models of the studies have 0.03 to 0.06 for crops, exact models 0 for "
        "circular shifts",
    ),
    "moves": (0.10, "R(1 px): plain ViTs of the studies have 0.13 to 0.15 for crops"),
    "consistent": (99.0, "% of pairs with the same class: at most one pair in a hundred differs"),
    "mostly": (
        80.0,
        "% of pairs with the same class: at most one pair in five differs; plain ImageNet networks "
        "have 78 to 89",
    ),
    "classes": (
        3.0,
        "number of different classes that the model gives to the pictures: with fewer, consistency "
        "means nothing",
    ),
    "tokens_few": (10.0, "% of tokens that change"),
    "tokens_half": (50.0, "% of tokens that change"),
    "smooth": (10.0, "condition number: 1 % of noise changes the embedding by at most 10 %"),
    "steep": (100.0, "condition number: 1 % of noise may change the whole embedding"),
    "zoom_still": (0.2, "change under zoom 1.41, as a share of the distance to another picture"),
    "zoom_moves": (0.5, "the same"),
    "local": (
        0.6,
        "attention distance divided by that of uniform attention: below this value a layer is "
        "local",
    ),
    "reaches": (0.9, "the same: from this value on, a layer attends everywhere"),
}


@dataclass(frozen=True)
class Verdict:
    """A grade and a sentence or two.

    Attributes:
        grade: one of `GRADES`; ``"note"`` if there is no better or worse.
        words: the sentence, without the model's name.
    """

    grade: str
    words: str


def _limit(name: str) -> float:
    return THRESHOLDS[name][0]


def _graded(value: float, good: str, fair: str, *, high: bool = False) -> str:
    """The grade of a value between two thresholds."""
    sign = -1 if high else 1
    if sign * value <= sign * _limit(good):
        return "good"
    return "fair" if sign * value <= sign * _limit(fair) else "poor"


def _percent(value: float) -> str:
    """A percentage with enough digits."""
    return f"{value:.2g} %" if value < 10 else f"{value:.0f} %"


def _pairs_that_differ(percent: float) -> str:
    """In how many pairs of crops the classes differ, as a clause."""
    if percent == 0:
        return "no pair of crops gets two classes"
    return f"{_percent(percent)} of the pairs of crops get two classes"


def pictures(count: int) -> str:
    """ "picture" or "pictures"."""
    return "picture" if count == 1 else "pictures"


def _sensitivity(f: Mapping[str, Any]) -> Verdict:
    roll, crop = (f[kind]["values"][f[kind]["shifts"].index(1.0)] for kind in ("circular", "crop"))
    worst = max(f["circular"]["values"])
    exact = worst <= _limit("exact")
    rolls = (
        "Exactly invariant to circular shifts, to rounding"
        if exact
        else f"A circular shift by 1 px changes the embedding by {_percent(100 * roll)} of the "
        f"distance to another picture"
    )
    grade = _graded(crop, "still", "moves")
    crops = {
        "good": "a crop shift by 1 px changes the embedding very little",
        "fair": "a crop shift by 1 px changes the embedding a little",
        "poor": "a crop shift by 1 px changes the embedding a lot",
    }[grade]
    joined = "but" if exact and grade == "poor" else "and"
    return Verdict(grade, f"{rolls}, {joined} {crops} ({_percent(100 * crop)}).")


def _consistency(f: Mapping[str, Any]) -> Verdict:
    values = {name: f[name]["percent"] for name in ("c_cons", "s_cons", "hp_cons")}
    listed = "; ".join(
        f"{what} {values[name]:.0f} %"
        for name, what in (
            ("c_cons", "circular shifts"),
            ("s_cons", "crop shifts"),
            ("hp_cons", "half-pixel shifts"),
        )
    )
    if f["classes_seen"] < _limit("classes"):
        count = f["classes_seen"]
        answers = "one class" if count == 1 else f"{count} classes"
        agree = "pairs agree under any shift" if count == 1 else "many pairs agree by chance"
        return Verdict(
            "note",
            f"Means nothing here: all {f['pictures']} pictures together get only {answers}, so "
            f"{agree} ({listed}).",
        )
    grade = _graded(values["s_cons"], "consistent", "mostly", high=True)
    words = {
        "good": "Crop shifts rarely change the class",
        "fair": "Crop shifts sometimes change the class",
        "poor": "Crop shifts often change the class",
    }[grade]
    crops = f["s_cons"]
    sure = f"95 % interval {crops['low']:.0f} to {crops['high']:.0f}"
    return Verdict(
        grade,
        f"{words}: {_pairs_that_differ(100 - crops['percent'])}. Two shifts of a picture get one "
        f"class: {listed} ({sure} for crop shifts).",
    )


def _worst_shift(f: Mapping[str, Any]) -> Verdict:
    crop, roll = f["crop"], f["circular"]
    grade = _graded(crop["percent"], "consistent", "mostly", high=True)
    side = 2 * crop["radius"] + 1
    return Verdict(
        grade,
        f"{crop['percent']:.0f} % of the pictures keep their class for all {side} × {side} crop "
        f"shifts (95 % interval {crop['low']:.0f} to {crop['high']:.0f}), "
        f"{roll['percent']:.0f} % for all circular shifts.",
    )


def _tokens(f: Mapping[str, Any]) -> Verdict:
    crop, roll = f["crop"]["percent"], f["circular"]["percent"]
    grade = _graded(crop, "tokens_few", "tokens_half")
    words = {
        "good": "The tokens follow the picture",
        "fair": "Some of the tokens follow the picture",
        "poor": "A shift changes most tokens",
    }[grade]
    return Verdict(
        grade,
        f"{words}: a crop shift by 1 px changes {crop:.0f} % of the last tokens by more than a "
        f"tenth, a circular shift {roll:.0f} %, after the best shift by whole tokens.",
    )


def _map(f: Mapping[str, Any]) -> Verdict:
    roll, crop = f["circular"]["relative"], f["crop"]["relative"]
    exact = roll <= _limit("exact")
    what = {"output": "The output's map", "tokens": "The map of tokens"}[f["of"]]
    rolls = (
        f"{what} follows a circular shift by 1 px exactly, to rounding"
        if exact
        else f"{what} has an error of {_percent(100 * roll)} after a circular shift by 1 px"
    )
    return Verdict("note", f"{rolls}; after a crop shift by 1 px: {_percent(100 * crop)}.")


def _attention(f: Mapping[str, Any]) -> Verdict:
    layers, uniform = f["by_layer"], f["uniform"]
    first, last = layers[0] / uniform, layers[-1] / uniform
    if first < _limit("local") <= last:
        words = "Attention is local in early layers and reaches further in later layers"
    elif max(layers) / uniform < _limit("local"):
        words = "Attention is local in every layer"
    elif min(layers) / uniform >= _limit("reaches"):
        words = "Attention reaches everywhere in every layer"
    elif last < _limit("local") <= first:
        words = "Attention reaches far in early layers and is local in later layers"
    else:
        words = "Attention reaches far, but is not uniform"
    return Verdict(
        "note",
        f"{words}: {layers[0]:.0f} px in the first of {len(layers)} attention layers, "
        f"{layers[-1]:.0f} px in the last (uniform attention: {uniform:.0f} px).",
    )


def _continuity(f: Mapping[str, Any]) -> Verdict:
    value = f["median_relative"]
    grade = _graded(value, "smooth", "steep")
    words = {"good": "Smooth", "fair": "Moderately steep", "poor": "Steep"}[grade]
    lead = f["singular_values"][0] / max(f["singular_values"][-1], 1e-300)
    width = len(f["singular_values"])
    shape = f"the first of {width} singular values is {lead:.1f} times the last"
    return Verdict(
        grade,
        f"{words} near the pictures: 1 % of noise can change the embedding by {value:.3g} % "
        f"(worst direction, median picture); {shape}.",
    )


def _jumps(f: Mapping[str, Any]) -> Verdict:
    hit, count = sum(f["jumps"]), len(f["jumps"])
    where = f", in {f['precision']}," if f["precision"] != "float64" else ""
    if hit:
        return Verdict(
            "poor",
            f"Discontinuous: during a shift by 1 px{where} the output jumps for {hit} of {count} "
            f"{pictures(count)}, by up to {_percent(100 * f['largest_jump'])} of the embedding.",
        )
    return Verdict(
        "good",
        f"No jump found during a shift by 1 px{where} for {count} {pictures(count)}. "
        "This is no proof: other paths may have jumps."
        + (
            " In this precision, jumps below a tenth of the whole change cannot be found."
            if where
            else ""
        ),
    )


def _scale(f: Mapping[str, Any]) -> Verdict:
    value = f["values"][f["zooms"].index(1.41)]
    grade = _graded(value, "zoom_still", "zoom_moves")
    words = {
        "good": "Insensitive to scale",
        "fair": "Sensitive to scale",
        "poor": "Very sensitive to scale",
    }[grade]
    return Verdict(
        grade,
        f"{words}: zoom by 1.41 changes the embedding by {_percent(100 * value)} of the distance "
        "to another picture.",
    )


def _rank(f: Mapping[str, Any]) -> Verdict:
    most = min(f["dim"], f["samples"] - 1)
    return Verdict(
        "note",
        f"{f['samples']} crops use {f['rank']:.0f} of at most {most} dimensions "
        f"({f['low']:.0f} to {f['high']:.0f}); features have {f['dim']}.",
    )


def _cost(f: Mapping[str, Any]) -> Verdict:
    kinds = ", ".join(f"{value / 1e9:.2g} G {kind}" for kind, value in f["macs_by_kind"].items())
    count = f["parameters"]
    parameters = f"{cell(count / 1e6, 1)} M parameters" if count else "No parameters found"
    adaptive = ""
    if "fewest_tokens" in f:
        adaptive = (
            f" The number of tokens depends on the picture: {f['fewest_tokens']} to "
            f"{f['most_tokens']}; the multiply-accumulates are those of the first picture."
        )
    return Verdict(
        "note",
        f"{parameters}, {cell(f['macs'] / 1e9, 2)} G multiply-accumulates for a "
        f"picture ({kinds}), {cell(f['peak_bytes'] / 1e6, 0)} MB of activations at the peak."
        + (f" Its {f['quantized']} quantized layers are not counted." if f["quantized"] else "")
        + adaptive,
    )


_JUDGES: dict[str, Callable[[Mapping[str, Any]], Verdict]] = {
    "consistency": _consistency,
    "worst_shift": _worst_shift,
    "sensitivity": _sensitivity,
    "tokens": _tokens,
    "map": _map,
    "attention": _attention,
    "continuity": _continuity,
    "jumps": _jumps,
    "scale": _scale,
    "rank": _rank,
    "cost": _cost,
}


def verdict_of(section: str, entry: Mapping[str, Any]) -> Verdict:
    """The verdict of one section of one model.

    Args:
        section: name of the section.
        entry: result of `run_section`.
    """
    if entry["status"] == "measured":
        return _JUDGES[section](entry["figures"])
    if entry["status"] == "not applicable":
        return Verdict("note", f"Not applicable: {entry['reason']}.")
    return Verdict("note", f"Could not be measured: {entry['error']}")
