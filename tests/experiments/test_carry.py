"""C24 on made-up records: every verdict can come out, and the page answers by the same rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from experiments.claims.c24_other_data import (
    ALL,
    CLAIM,
    DECIDING,
    FEW,
    LARGER,
    SHOWN,
    answer,
    carry_table,
    rate_table,
)
from experiments.claims.claim import Claim, Finding
from experiments.claims.data import data_of, data_words
from experiments.claims.records import finding_of, records_of
from experiments.core.records import RECORDS, write_json
from experiments.core.summary import StudySummary
from experiments.studies.carry_again import CARRY_AGAIN

GAIN, LOSS, NOTHING = (9.0, 10.0, 11.0), (-9.0, -10.0, -11.0), (-9.0, 10.0, 1.0)
_SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "gcompris": ("", {"photographs": "gcompris", "duplicates": "drop"}),
    "elpv": ("elpv", {"path": "data"}),
    "0.1": ("fashion_mnist", {"share": 0.1}),
    "1.0": ("fashion_mnist", {"share": 1.0}),
    "0.01": ("fashion_mnist", {"share": 0.01}),
}


def record(name: str, gains: tuple[float, ...]) -> StudySummary:
    """The record of `tokenizers` with made-up figures: dual-tree tokens better by these points."""
    data = json.loads((RECORDS / "tokenizers" / "summary.json").read_text())
    for variant in ("vit", "dtcwt"):
        for metric in ("top1", "crop"):
            values = [50 + (gain if variant == "dtcwt" else 0) for gain in gains]
            data["metrics"][variant][metric] = values
        key = next(key for key in _SOURCES if key in name.removesuffix("/summary.json"))
        source, options = _SOURCES[key]
        data["configs"][variant]["data"] |= {
            "source": source,
            "source_options": [list(pair) for pair in options.items()],
        }
    data["rates"] = {"vit": {"0.001": 50.0, "0.003": 61.5}}
    return StudySummary.from_dict(data)


def records(*gains: tuple[float, ...]) -> dict[str, StudySummary]:
    return {name: record(name, own) for name, own in zip(DECIDING, gains, strict=False)}


def found(own: dict[str, StudySummary]) -> str:
    finding = CLAIM.find(own)
    return finding.verdict.text(data_words(CLAIM, finding, own))


@pytest.mark.parametrize(
    ("gains", "text"),
    [
        ((GAIN,), "**supported** on crops of 18 photographs (gcompris)"),
        (
            (GAIN, GAIN),
            "**supported** on crops of 18 photographs (gcompris) and solar cells (ELPV)",
        ),
        ((LOSS, LOSS), "**refuted** on"),
        ((GAIN, LOSS), "**mixed** on"),
        ((NOTHING, NOTHING), "**inconclusive** on"),
    ],
)
def test_every_verdict_can_come_out(gains: tuple[tuple[float, ...], ...], text: str) -> None:
    assert found(records(*gains)).startswith(text)


def test_mixed_verdict_says_where() -> None:
    text = found(records(GAIN, LOSS, NOTHING))
    assert "supported for dual-tree tokens (other photographs, new seeds)" in text
    assert "refuted for dual-tree tokens (ELPV, new seeds)" in text
    assert "inconclusive for dual-tree tokens (Fashion-MNIST, a tenth, new seeds)" in text
    assert "Fashion-MNIST (10 % of its training pictures)" in text


def test_first_sentence_follows_from_the_rule() -> None:
    text = answer(records(GAIN, LOSS, NOTHING))
    first = text.split(" Their S-Cons")[0]
    assert first.startswith(
        "The advantage of dual-tree tokens over patches carries over to some data, and is reversed "
        "on others. "
    )
    assert "Their top-1 is higher on other photographs (+10.0 [" in first
    assert "lower on ELPV (−10.0 [" in first
    assert "not found to differ on Fashion-MNIST" in first
    assert text.endswith("Without a record: Fashion-MNIST, all.")
    assert " over patches does not carry over. Their top-1 is lower on " in answer(records(LOSS))
    assert " over patches carries over to some data. " in answer(records(GAIN, NOTHING))
    assert " over patches is reversed on some data. " in answer(records(LOSS, NOTHING))
    assert answer(None).startswith("Not measured")


def test_gap_with_few_pictures_is_compared_with_that_with_all() -> None:
    """The advantage grows by four points from a hundredth of the pictures to all of them."""
    own = records(GAIN, GAIN, GAIN, GAIN)
    assert not [e for e in CLAIM.find(own).effects if "over that of patches" in e.metric]
    first = {ALL: record(ALL, (13.0, 14.0, 15.0)), FEW: record(FEW, GAIN)}
    effect = CLAIM.find(own | first).effects[-1]
    assert effect.metric == "top-1 over that of patches"
    assert effect.difference.mean == pytest.approx(4.0)
    assert not effect.predicted


@pytest.mark.parametrize("shown", SHOWN)
def test_first_seeds_few_pictures_and_larger_models_do_not_decide(shown: str) -> None:
    own = records(GAIN)
    both = own | {shown: record(shown if shown != LARGER else FEW, LOSS)}
    assert found(both) == found(own)
    assert len(CLAIM.find(both).effects) > len(CLAIM.find(own).effects)


def test_the_deciding_seeds_were_in_no_earlier_test() -> None:
    again = set(CARRY_AGAIN.seeds)
    assert len(again) == 6
    for name in SHOWN:
        if name.startswith("carry_"):
            summary = StudySummary.from_dict(json.loads((RECORDS / name).read_text()))
            assert not again & {seed for seeds in summary.seeds.values() for seed in seeds}
    made = set(CARRY_AGAIN.data_commands())
    assert made == set(DECIDING)


def test_taken_rate_is_bold() -> None:
    assert "| `vit` | 50.0 | **61.5** |" in rate_table(records(GAIN))


def test_balanced_accuracy_is_shown_beside_top1_where_a_record_has_it() -> None:
    own = records(GAIN, GAIN)
    assert "balanced" not in carry_table(own)
    cells = own[list(DECIDING)[1]].metrics["dtcwt"]
    cells["balanced"] = cells["crop"]
    head, _, *rows = carry_table(own).splitlines()
    assert "| top-1, % | balanced accuracy, % | S-Cons, % |" in head
    (elpv,) = (row for row in rows if row.startswith("| ELPV, new seeds | `dtcwt` |"))
    assert elpv.split(" | ")[3] == elpv.split(" | ")[4]
    assert sum("| – |" in row for row in rows) == len(rows) - 1


def test_not_measured_without_the_first_record_and_optional_ones_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr("experiments.core.records.RECORDS", tmp_path)
    second = list(DECIDING)[1]
    write_json(tmp_path / second, record(second, GAIN).to_dict())
    assert records_of(CLAIM) is None
    assert finding_of(CLAIM, None).verdict.word == "not measured"
    (first,) = CLAIM.records
    write_json(tmp_path / first, record(first, GAIN).to_dict())
    read = records_of(CLAIM)
    assert read is not None
    assert set(read) == {first, second}


def test_data_of_a_verdict_are_those_of_its_records() -> None:
    tokenizers = StudySummary.from_dict(
        json.loads((RECORDS / "tokenizers" / "summary.json").read_text())
    )
    assert data_of(tokenizers, "the default") == "the default"
    own = {"a": tokenizers, "b": record("elpv", GAIN), "c": {"crops": 3}}
    claim = Claim(id="C1", sentence="", records=tuple(own), find=lambda _: finding)
    finding = Finding(CLAIM.find(records(GAIN)).verdict, ())
    assert data_words(claim, finding, own) == "crops of 18 photographs and solar cells (ELPV)"
