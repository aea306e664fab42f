"""The table of speed targets follows the records, and says which targets are reached."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmarks.filters import render_targets
from experiments.benchmarks.speed_targets import Options, Row, measure, render, render_audit, rows
from experiments.core.records import RECORDS

BEFORE = {
    "commit": "HEAD",
    "audit_seconds": {"sensitivity": 400.0, "consistency": 200.0},
    "ablation_core_minutes": 20.0,
    "ablation_device": "one",
    "lowest_factors": {
        "longer, eager": 2.5,
        "longer, compiled": 1.5,
        "dual tree, forward": 4.5,
        "dual tree, forward+backward": 3.5,
    },
}
USED = [
    "audit/audit.json",
    "claims/run.json",
    "latency/training_steps.json",
    "patch_vs_wavelet/summary.json",
    "transforms/dimensions.json",
    "transforms/filters.json",
]


def test_a_target_is_reached_from_its_own_side() -> None:
    assert Row("time", None, 1.1, 1.1, "audit.md").met() == "yes"
    assert Row("time", None, 1.1, 1.104, "audit.md").met() == "yes"  # the table says 1.10
    assert Row("time", None, 1.1, 1.11, "audit.md").met() == "**no**"
    assert Row("factor", None, 3.0, 3.1, "audit.md", least=True).met() == "yes"
    assert Row("factor", None, 3.0, 2.9, "audit.md", least=True).met() == "**no**"
    assert Row("factor", None, 3.0, None, "audit.md").met() == "no record"


def test_every_row_has_a_target_from_the_records() -> None:
    found = rows(BEFORE)
    by_name = {row.what: row for row in found}
    assert len(by_name) == len(found) > 20
    audit = by_name["audit of the four models of its record, s on two threads"]
    assert audit.before == 600
    assert audit.target == 100
    ablation = by_name["`make ablation`, minutes on two cores"]
    assert ablation.before == 10
    assert ablation.target == 6
    assert all(row.reached is None or row.reached > 0 or "scattering2" in row.what for row in found)
    pages = RECORDS.parents[1] / "docs"
    assert all((pages / row.page).exists() for row in found)


def test_the_table_follows_the_records(
    other_records: Callable[[Iterable[str]], Path],
) -> None:
    names = [path.relative_to(RECORDS).as_posix() for path in RECORDS.glob("*/summary.json")]
    folder = other_records([*USED, *names])
    now, larger = rows(BEFORE), rows(BEFORE, folder)
    for one, other in zip(now, larger, strict=True):
        if one.reached:
            assert other.reached == pytest.approx(1.25 * one.reached)
    assert render(BEFORE, folder) != render(BEFORE)
    assert render_audit(BEFORE, folder) != render_audit(BEFORE)
    assert "| sensitivity | 400 |" in render_audit(BEFORE)


def test_filters_count_the_cases_of_each_target() -> None:
    def cell(kind: str, wavelet: str, level: int, factor: float) -> dict[str, Any]:
        factors = {"wavevit": factor, "wavevit compiled": factor - 1}
        own = {"kind": kind, "wavelet": wavelet, "level": level, "pass": "forward"}
        return {**own, "times_faster_than_best_library": factors}

    cells = [
        cell("decimated", "db4", 1, 5.0),
        cell("decimated", "sym8", 3, 4.9),
        cell("decimated", "db2", 1, 9.0),  # no target is about it
        cell("dual tree", "near_sym_a", 1, 30.0),  # one level: not either
        cell("dual tree", "near_sym_a", 3, 20.0),
        {**cell("decimated", "db4", 1, 1.0), "pass": "none"},
    ]
    lines = render_targets({"cells": cells}).splitlines()[2:]
    assert [line.split(" | ")[3:5] for line in lines] == [
        ["5", "1 of 2"],
        ["4", "1 of 2"],
        ["20", "1 of 1"],
        ["8", "0 of 0"],
        ["20", "0 of 0"],
        ["8", "0 of 0"],
    ]


def test_before_is_taken_from_a_commit(tmp_path: Path) -> None:
    audit = {"timings": {"seconds": {"one": {"a": 1.0, "b": 2.5}, "two": {"a": 3.0}}}}
    study = {"core_minutes": 7.0, "environment": {"device_name": "a processor"}}
    records = tmp_path / "experiments" / "records"
    cell = {"wavelet": "db4", "kind": "decimated", "level": 1, "pass": "forward"}
    factors = {"wavevit": 3.5, "wavevit compiled": 4.5}
    filters = {"cells": [{**cell, "times_faster_than_best_library": factors}]}
    for name, data in (
        ("audit/audit.json", audit),
        ("patch_vs_wavelet/summary.json", study),
        ("transforms/filters.json", filters),
    ):
        path = records / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(data))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "records"]):
        subprocess.run([*git, *words], check=True)
    (records / "audit" / "audit.json").write_text("{}")  # what is there now does not count
    assert measure(Options(commit="HEAD"), records) == {
        "commit": "HEAD",
        "audit_seconds": {"a": 4.0, "b": 2.5},
        "ablation_core_minutes": 7.0,
        "ablation_device": "a processor",
        "lowest_factors": {
            "longer, eager": 3.5,
            "longer, compiled": 4.5,
            "dual tree, forward": None,
            "dual tree, forward+backward": None,
            "scattering, forward": None,
            "scattering, forward+backward": None,
        },
    }
    with pytest.raises(ValueError, match="commit: expected a commit of this clone with"):
        measure(Options(commit="0123456"), records)
