"""Every recorded column and every public measure is in the glossary, with its unit."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import wavevit.measure
from experiments.core.summary import METRICS, metrics_of
from wavevit.auditing import METRICS as AUDITED
from wavevit.tasks import create_task, list_tasks

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| column or measure")
]
ENTRIES = [
    name.strip(" ↑↓") for row in ROWS for name in re.split(r", (?!pooled|map|\S+ quarter)", row[0])
]
# Ways to prepare or to time something, and no figure of a model.
HELPERS = {"center_crop", "fourier_shift", "shifted"}
# First columns, which name what a row is about.
NAMES = {"variant", "model", "downsample", "inject", "mixer", "position", "tokenizer", "claim"}
# One column under three names.
CONDITION = ("condition number ‖J‖‖x‖/‖f‖", "condition number", "‖J‖‖x‖/‖f‖")
MEASURES = [
    name
    for name in wavevit.measure.__all__
    if inspect.isfunction(getattr(wavevit.measure, name)) and name not in HELPERS
]


def columns() -> set[str]:
    tables = [*ROOT.glob("experiments/records/*/*.md")]
    assert tables
    found = {metric.title for metric in (*METRICS.values(), *AUDITED.values())}
    for path in tables:
        lines = path.read_text().splitlines()
        for line, below in pairwise(lines):
            if below.startswith("|---"):
                cells = line.strip("| ").split(" | ")
                found |= {cell.strip() for cell in cells if cell.strip() not in NAMES}
    return found


def plain(title: str) -> str:
    """Without unit behind, without the number that says which of several."""
    title = re.sub(r"^[MG] (?=parameters)|, (?:%|M|px|GiB)$", "", title)
    return re.sub(r" / .*|: .*", "", title)


def has(title: str) -> bool:
    patterns = [re.escape(entry).replace("…", ".+") for entry in ENTRIES]
    if title in CONDITION:
        return any(entry in CONDITION for entry in ENTRIES)
    return any(re.fullmatch(pattern, plain(title)) for pattern in patterns)


def test_every_column_is_in_the_glossary() -> None:
    assert not [title for title in sorted(columns()) if not has(title)]


def test_columns_of_comparisons_of_claims_are_in_the_glossary() -> None:
    """Of the table that every page of a claim has."""
    page = (ROOT / "docs" / "claims" / "c05.md").read_text()
    (head,) = (line for line in page.splitlines() if line.startswith("| comparison |"))
    titles = head.strip("| ").split(" | ")[2:]
    assert len(titles) == 7
    assert not [title for title in titles if not has(title)]


@pytest.mark.parametrize("task", [name for name in list_tasks() if name != "classification"])
def test_every_metric_of_a_task_is_in_the_glossary(task: str) -> None:
    """As a study of the task would head its columns; classification has columns of its own."""
    built = create_task(task, "test_vit", img_size=32, in_chans=1, num_classes=3)
    batch = built.eval().dummy_batch(4)
    with torch.no_grad():
        result = {"metrics": built.summarize(built.evaluate(batch))}
        answers = built.predict(batch)
        result["shifts"] = {name: {"1": 0.0} for name in built.compare(answers, answers, (0, 0))}
    found = metrics_of(task, result)
    assert built.score in found
    assert not [metric.title for metric in found.values() if not has(metric.title)]


def test_every_measure_is_in_the_glossary_with_its_unit() -> None:
    units = {
        measure: [row[1] for row in ROWS if re.search(rf"`{measure}\b", row[3])]
        for measure in MEASURES
    }
    assert not [measure for measure, found in units.items() if not found or not found[0]]


def test_every_entry_has_a_unit() -> None:
    assert all(len(row) == 4 and row[1] and row[2] for row in ROWS)


def test_negative_control_unknown_column_is_detected() -> None:
    assert not has("luck, %")
    assert has("top-1, %")
