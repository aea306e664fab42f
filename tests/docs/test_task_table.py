"""The table of tasks and backbones: a row for each task, figures of the records."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean, stdev

import pytest

from experiments.core.records import RECORDS, load_record
from experiments.core.summary import StudySummary
from experiments.reporting import tasks
from wavevit.tasks import TASKS, list_tasks


def rows(found: list[StudySummary]) -> list[dict[str, str]]:
    head, _, *lines = (
        line.strip("| ").split(" | ") for line in tasks.task_table(found).splitlines()
    )
    return [dict(zip(head, cells, strict=True)) for cells in lines]


def test_every_task_has_a_row() -> None:
    found = {row["task"].strip("`") for row in rows(tasks.summaries())}
    # Examples in the docs register tasks of their own in this process.
    ours = {name for name in list_tasks() if TASKS.get(name).__module__.startswith("wavevit.")}
    assert found == ours


def test_cells_are_the_figures_of_the_record_and_a_dash_where_there_is_none() -> None:
    (row,) = rows([load_record("dense/summary.json")])
    values = json.loads((RECORDS / "dense" / "summary.json").read_text())["metrics"]["swin"]["miou"]
    assert row["swin"] == f"{fmean(values):.1f} ± {stdev(values):.1f}"
    assert row["score"] == "mIoU, % ↑"
    assert row["seeds"] == str(len(values))
    assert row["dtcwt_vit"] == "–"  # not in that study
    (row,) = rows([load_record("captions/summary.json")])
    assert row["score"].endswith("↓")


def test_a_task_without_a_record_has_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "RECORDS", tmp_path)
    assert tasks.summaries() == []
