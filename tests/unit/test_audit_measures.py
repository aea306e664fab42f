"""What the audit judges by itself: bounds, verdicts, the shifts of its curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wavevit.auditing import METRICS, THRESHOLDS, Bound, parse_bounds
from wavevit.auditing.cells import cell
from wavevit.auditing.sections import curve_shifts, heat_shifts
from wavevit.auditing.verdicts import verdict_of

DOCS = Path(__file__).parents[2] / "docs"


def test_shifts_of_the_curves() -> None:
    assert curve_shifts(224, "circular") == (1, 2, 4, 8, 16, 32)
    assert curve_shifts(224, "crop") == (0.5, 1, 2, 4, 8, 16, 32)
    assert curve_shifts(224, "subpixel") == (0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5)
    assert curve_shifts(8, "circular") == (1,)
    assert heat_shifts(64) == (1, 2, 4, 8)


def measured(**figures: Any) -> dict[str, Any]:
    return {"status": "measured", "figures": figures}


SECTIONS = {
    "consistency": measured(s_cons={"percent": 84.5}),
    "sensitivity": measured(crop={"shifts": [0.5, 1.0], "values": [0.1, 0.2]}),
    "scale": {"status": "failed", "error": "out of luck"},
    "tokens": {"status": "not applicable", "reason": "no map"},
}


@pytest.mark.parametrize(
    ("metric", "limit", "words"),
    [
        ("s_cons", 84.5, ""),
        ("s_cons", 85, "s_cons 84.5 is below 85"),
        ("r_crop", 0.2, ""),
        ("r_crop", 0.19, "r_crop 0.2 is above 0.19"),
        ("zoom", 9.0, "zoom failed (out of luck)"),
        ("turnover", 100.0, "turnover not applicable (no map)"),
    ],
)
def test_bounds_hold_or_say_what_is_wrong(metric: str, limit: float, words: str) -> None:
    assert Bound(metric, limit).broken(SECTIONS) == words


def test_bounds_are_read() -> None:
    found = parse_bounds("fail-under", ("s_cons=80", "c_cons=99.5"), "high")
    assert found == (Bound("s_cons", 80), Bound("c_cons", 99.5))


@pytest.mark.parametrize(
    ("item", "better", "message"),
    [
        ("s_con=80", "high", "fail-x: expected one of 'c_cons', 's_cons'.*nearest: s_cons"),
        ("r_crop=1", "high", "fail-x: expected one of 'c_cons'"),
        ("s_cons=80", "low", "fail-x: expected one of 'r_circular'"),
        ("s_cons", "high", "fail-x: expected NAME=NUMBER, with one of c_cons, s_cons"),
        ("s_cons=many", "high", "fail-x: expected a number after s_cons="),
    ],
)
def test_bounds_that_name_nothing(item: str, better: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_bounds("fail-x", (item,), better)


def continuity(value: float) -> dict[str, Any]:
    return measured(median_relative=value, singular_values=[2.0, 1.0])


@pytest.mark.parametrize(("value", "grade"), [(10, "good"), (10.1, "fair"), (100.1, "poor")])
def test_grades_change_at_their_thresholds(value: float, grade: str) -> None:
    assert verdict_of("continuity", continuity(value)).grade == grade


@pytest.mark.parametrize(
    ("percent", "grade", "words"),
    [
        (100, "good", "Crop shifts rarely change the class: no pair of crops gets two classes"),
        (99, "good", "rarely change the class: 1 % of the pairs of crops get two classes"),
        (89, "fair", "sometimes change the class: 11 % of the pairs of crops get two classes"),
        (80, "fair", "sometimes change the class: 20 % of the pairs of crops get"),
        (79, "poor", "often change the class: 21 % of the pairs of crops get"),
        (40, "poor", "often change the class: 60 % of the pairs of crops"),
    ],
)
def test_consistency_in_words_with_how_sure_it_is(percent: float, grade: str, words: str) -> None:
    crops = {"percent": percent, "low": percent - 8, "high": percent}
    entry = measured(
        c_cons={"percent": 100}, s_cons=crops, hp_cons={"percent": 9}, classes_seen=5, pictures=18
    )
    verdict = verdict_of("consistency", entry)
    assert verdict.grade == grade
    assert words in verdict.words
    assert f"95 % interval {percent - 8} to {percent}" in verdict.words


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (20, 110, "is local in early layers and reaches"),
        (20, 30, "is local in every layer"),
        (113, 115, "everywhere"),
    ],
)
def test_attention_in_words(first: float, last: float, words: str) -> None:
    entry = measured(by_layer=[first, last], uniform=116.8)
    assert words in verdict_of("attention", entry).words


def test_unmeasured_sections_get_no_grade() -> None:
    assert verdict_of("scale", SECTIONS["scale"]).words == "Could not be measured: out of luck"
    assert verdict_of("tokens", SECTIONS["tokens"]).grade == "note"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0"), (0.00004, "4e-05"), (12.34, "12.340")]
)
def test_cells(value: float | None, text: str) -> None:
    assert cell(value, 3) == text


def test_the_page_lists_every_metric_and_threshold() -> None:
    page = (DOCS / "audit.md").read_text()
    for name, metric in METRICS.items():
        assert f"| `{name}` | {metric.title} |" in page, name
    for name, (value, why) in THRESHOLDS.items():
        assert f"| `{name}` | {value:g} | {why} |" in page, name
