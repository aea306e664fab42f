"""The reproduction page names every record's command, and the commands are there to be typed."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil

from experiments.core.registry import experiments_by_verb
from experiments.reporting.reproduce import (
    MADE_BY,
    PAGE,
    RECORDS,
    command_of,
    made_by,
    minutes_of,
    page_with,
    with_seeds,
)

FILES = [
    path.relative_to(RECORDS).as_posix()
    for path in sorted(RECORDS.glob("*/*.json"))
    if "environment" in json.loads(path.read_text())
]


def test_a_changed_record_makes_the_page_stale(tmp_path) -> None:
    shutil.copytree(RECORDS, tmp_path / "records")
    path = tmp_path / "records" / FILES[0]
    record = json.loads(path.read_text())
    record["environment"]["threads"] = 96
    path.write_text(json.dumps(record))
    assert PAGE.read_text() != page_with(PAGE.read_text(), tmp_path / "records")


def test_the_ledgers_minutes_are_those_of_its_records() -> None:
    """Half a record's core minutes, a measurement's seconds, or what somebody noted."""
    assert minutes_of("zoom/summary.json", {"core_minutes": 50.0}) == 25
    assert minutes_of("noise/measurement.json", {"seconds": 90}) == 1.5
    assert minutes_of("latency/cpu.json", {}) == float(made_by()["latency/cpu.json"].minutes)
    assert minutes_of("continuity/measurement.json", {}) is None


def test_a_command_names_the_seeds_of_its_record_where_the_study_has_others() -> None:
    made = command_of("dense/summary.json")
    assert made is not None
    assert made.seeds == (0, 1, 2)
    run, report = made.command.split(" && ")
    assert with_seeds(made, {"seeds": {"vit": [0, 1, 2]}}) == made.command
    five = {"seeds": {"vit": [0, 1, 2, 3, 4], "swin": [0, 1]}}
    assert with_seeds(made, five) == f"{run} --seeds 0 1 2 3 4 && {report}"


def test_every_record_names_the_command_that_made_it() -> None:
    for name in FILES:
        made = command_of(name)
        assert made is not None, f"no experiment makes {name}; or add it to MADE_BY"
        for module in re.findall(r"python -m ([\w.]+)", made.command):
            assert importlib.util.find_spec(module), module
        for verb, one in re.findall(r"experiments (run|bench) (\w+)", made.command):
            assert one in experiments_by_verb(verb), name


def test_every_record_has_a_command() -> None:
    """Every committed record has a command, and every hand-written entry has its record."""
    known = {path.relative_to(RECORDS).as_posix() for path in RECORDS.glob("*/*.json")}
    assert known <= set(made_by())
    assert set(MADE_BY) - {"claims/run.json"} <= known
