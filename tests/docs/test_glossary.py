"""Every recorded column and every public measure is in the glossary, with its unit."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest

import wavevit.measure
from experiments.summary import METRICS
from wavevit.auditing import METRICS as AUDITED

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| column or measure")
]
ENTRIES = [name.strip(" ↑↓") for row in ROWS for name in re.split(r", (?!pooled|map)", row[0])]
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
        if path.parent.name == "claims":  # a ledger of sentences, no table of measures
            continue
        lines = path.read_text().splitlines()
        for line, below in pairwise(lines):
            if below.startswith("|---"):
                cells = line.strip("| ").split(" | ")
                found |= {cell.strip() for cell in cells if cell.strip() not in NAMES}
    return found


def plain(title: str) -> str:
    """Without unit behind, without the number that says which of several."""
    title = re.sub(r"^[MG] (?=parameters)|, (?:%|M|px)$", "", title)
    return re.sub(r" / .*|: .*", "", title)


def has(title: str) -> bool:
    patterns = [re.escape(entry).replace("…", ".+") for entry in ENTRIES]
    if title in CONDITION:
        return any(entry in CONDITION for entry in ENTRIES)
    return any(re.fullmatch(pattern, plain(title)) for pattern in patterns)


@pytest.mark.parametrize("title", sorted(columns()))
def test_a_column_is_in_the_glossary(title: str) -> None:
    assert has(title), title


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_is_in_the_glossary(measure: str) -> None:
    (row,) = [r for r in ROWS if re.search(rf"`{measure}\b", r[3])][:1]
    assert row[1]


def test_every_entry_has_a_unit() -> None:
    assert all(len(row) == 4 and row[1] and row[2] for row in ROWS)


def test_an_unknown_column_is_missed() -> None:
    assert not has("luck, %")
    assert has("top-1, %")
