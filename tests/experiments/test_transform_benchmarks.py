"""Transforms are timed beside other libraries': the harness once, then one small case of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from experiments.benchmarks import alone, filters, libraries, transforms
from experiments.benchmarks.alone import Alone, Contender, installed
from experiments.benchmarks.interleaved import Transform, multiples, times
from experiments.benchmarks.libraries import CONTENDERS, Case, comparison, serves
from tests.worker_here import WorkerHere

HAAR = Case("decimated", "haar", "periodization", 3, (1, 2, 16, 8))
LONGER = Case("decimated", "db2", "periodization", 1, (1, 2, 16, 8))


class Here(Contender):
    """Stands for `Alone`, whose process takes seconds to start."""

    def __init__(self, name: str, build: Callable[[Case], Transform], threads: int) -> None:
        super().__init__(build)

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def contenders(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[Case], Transform]]:
    """Those of the benchmarks, in this process. The real compiler is timed by the command itself;
    here it would take longer than the test."""
    found = {**CONTENDERS, "wavevit compiled": CONTENDERS["wavevit"]}
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    monkeypatch.setattr(libraries, "CONTENDERS", found)
    monkeypatch.setattr(alone, "Alone", Here)
    return found


def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    asked: list[str] = []

    def contender(name: str, seconds: float) -> Callable[[], float]:
        def run() -> float:
            asked.append(name)
            return seconds

        return run

    found = times({"a": contender("a", 1.0), "b": contender("b", 3.0)}, rounds=2)
    assert found == {"a": [1.0, 1.0], "b": [3.0, 3.0]}
    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert multiples(found, "a") == {"a": 1.0, "b": 3.0}
    assert len(times({"a": lambda: 0.0}, rounds=9, budget=0.0)["a"]) == 3


def _lossy(case: Case) -> Transform:
    return lambda x: (x[..., ::2],)


def _louder(case: Case) -> Transform:
    return lambda x: tuple(2 * part for part in CONTENDERS["wavevit"](case)(x))


def _mirrored(case: Case) -> Transform:
    return lambda x: tuple(part.flip(-1) for part in CONTENDERS["wavevit"](case)(x))


@pytest.mark.parametrize(
    ("case", "wrong", "message"),
    [
        (HAAR, _lossy, "wrong: expected coefficients with the image's energy"),
        (LONGER, _louder, "wrong: expected our coefficients"),
        (LONGER, _mirrored, "wrong: expected our coefficients"),
    ],
)
def test_wrong_coefficients_are_refused(
    contenders: dict[str, Callable[[Case], Transform]],
    case: Case,
    wrong: Callable[[Case], Transform],
    message: str,
) -> None:
    """Negative controls: what drops a band, or has other energies or other places, is not timed."""
    for name in contenders.keys() - {"clone", "wavevit"}:
        del contenders[name]
    contenders["wrong"] = wrong
    with pytest.raises(ValueError, match=message):
        comparison().time([case], 1, 3)


def _broken(case: Case) -> Transform:
    raise RuntimeError("no such thing")


def test_error_of_a_worker_names_the_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "Worker", WorkerHere)
    contender = Alone("mine", _broken, 1)
    try:
        message = "mine: expected a transform that runs, got RuntimeError: no such thing"
        with pytest.raises(ValueError, match=message):
            contender.prepare(HAAR, HAAR.shape, False)
    finally:
        contender.close()


@pytest.mark.nightly
def test_every_contender_has_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: CONTENDERS[name] for name in ("clone", "wavevit", "ptwt")}
    few["wavevit compiled"] = CONTENDERS["wavevit"]
    monkeypatch.setattr(libraries, "CONTENDERS", few)
    case = Case("decimated", "bior4.4", "symmetric", 2, (1, 2, 16, 18))
    found = comparison().time([case], 1, 3)
    assert [set(cell["milliseconds"]) for _, cell in found] == [set(few)] * 2


def test_fresh_processes_meet_cases_in_another_order(
    contenders: dict[str, Callable[[Case], Transform]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [Case("decimated", "haar", "periodization", 1, (1, 1, side, 8)) for side in (8, 16)]
    met: list[int] = []
    prepare = Here.prepare

    def seen(self: Here, case: Case, *arguments: Any) -> alone.Seen:
        met.append(case.shape[2])
        return prepare(self, case, *arguments)

    monkeypatch.setattr(Here, "prepare", seen)
    for name in contenders.keys() - {"clone", "wavevit"}:
        del contenders[name]
    found = comparison().time(cases, 1, 3, processes=2)
    assert [case.shape[2] for case, _ in found] == [8, 8, 16, 16]
    assert all(cell["rounds"] == 6 for _, cell in found)
    assert met == [8] * 4 + [16] * 4 + [16] * 4 + [8] * 4


def test_contenders_are_timed_on_the_cases_they_support() -> None:
    """The text at the top of `experiments.benchmarks.libraries` says why."""
    always = {"clone", "wavevit", "wavevit compiled", "pytorch-wavelets", "torchwavelets"}
    dilated = "grouped dilated convolution"
    for case, others in (
        (HAAR, {"grouped convolution", "ptwt"}),
        (LONGER, set()),
        (Case("decimated", "bior4.4", "symmetric", 2, (1, 2, 16, 18)), {"ptwt"}),
        (Case("undecimated", "haar", "periodic", 1, (1, 2, 8, 6)), {"ptwt", dilated}),
        (Case("undecimated", "haar", "periodic", 2, (1, 2, 8, 6)), {dilated}),
        (Case("dual tree", "near_sym_a", "symmetric", 2, (1, 2, 16, 8)), set()),
        (Case("scattering", "near_sym_a", "symmetric", 2, (1, 2, 16, 8)), set()),
    ):
        assert {name for name in CONTENDERS if serves(name, case)} == always | others
    constant = Case("decimated", "db4", "constant", 1, (1, 2, 16, 18))
    assert serves("ptwt", constant)
    assert not serves("pytorch-wavelets", constant)


@pytest.mark.usefixtures("contenders")
def test_every_kind_and_mode_has_the_same_coefficients_everywhere() -> None:
    """What the command times, of small images: other coefficients would end it after minutes."""
    kinds = {(case.kind, case.wavelet, case.mode, case.level) for case in filters.CASES}
    cases = [Case(*kind, (1, 1, 128, 136)) for kind in sorted(kinds)]
    assert {case.kind for case in cases} == {"decimated", "undecimated", "dual tree", "scattering"}
    assert len({case.mode for case in cases if case.wavelet == "db4"}) == 6
    for case, cell in comparison().time(cases, 1, 1):
        assert set(cell["milliseconds"]) == {n for n in CONTENDERS if serves(n, case)}


@pytest.mark.usefixtures("contenders")
def test_haar_is_measured_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, shapes = tmp_path / "cpu.json", transforms.SHAPES
    try:
        transforms.SHAPES = ((1, 2, 16, 8),)
        transforms.BENCHMARK.run(
            transforms.Options(quick=True, threads=(1,), levels=(1, 3), out=out)
        )
    finally:
        transforms.SHAPES = shapes
    record = json.loads(out.read_text())
    passes = ["forward", "forward+backward"]
    assert [(c["levels"], c["pass"]) for c in record["cells"]] == [
        (level, one) for level in (1, 3) for one in passes
    ]
    for cell in record["cells"]:
        assert set(cell["milliseconds"]) == {n for n in CONTENDERS if serves(n, HAAR)}
        assert all(value > 0 for value in cell["milliseconds"].values())
        assert set(cell["times_faster_than_best_library"]) == {"wavevit", "wavevit compiled"}
    assert record["environment"]["packages"]["ptwt"] != "not installed"
    printed = capsys.readouterr().out
    assert "decimated haar periodization level 3 1x2x16x8 forward+backward x1: " in printed
    assert transforms.render(record) in printed
    assert "3 levels:" in printed


@pytest.mark.usefixtures("contenders")
def test_filters_are_measured_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = (
        Case("decimated", "bior4.4", "symmetric", 2, (1, 2, 36, 40)),
        Case("undecimated", "haar", "periodic", 1, (1, 2, 8, 6)),
        Case("dual tree", "near_sym_a", "symmetric", 2, (1, 2, 16, 8)),
    )
    monkeypatch.setattr(filters.benchmark, "__defaults__", (cases,))
    out = tmp_path / "filters.json"
    filters.BENCHMARK.run(filters.Options(quick=True, threads=(1, 2), out=out))
    cells = json.loads(out.read_text())["cells"]
    # Several levels are timed on the first number of threads only.
    assert [(c["kind"], c["threads"]) for c in cells[::2]] == [
        *((case.kind, 1) for case in cases),
        ("undecimated", 2),
    ]
    for cell in cells:
        case = next(one for one in cases if one.kind == cell["kind"])
        assert set(cell["milliseconds"]) == {n for n in CONTENDERS if serves(n, case)}
        assert cell["rounds"] == 3
    assert "dual tree near_sym_a symmetric level 2 1x2x16x8" in capsys.readouterr().out
    lines = filters.render({"cells": cells}).splitlines()
    titles = [line for line in lines if line.endswith(":")]
    assert titles == ["Decimated:", "Undecimated:", "Dual tree:"]


def test_missing_library_is_reported_and_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(alone, "find_spec", lambda name: None)
    assert set(installed({"ptwt": 1, "clone": 2}, ["ptwt", "pytorch-wavelets"])) == {"clone"}
    assert "ptwt is left out" in capsys.readouterr().out
    clones = {"clone": 1.0, "wavevit": 1.25, "wavevit compiled": 1.5}
    cell = {"shape": [1, 1, 2, 2], "levels": 1, "threads": 1, "multiple_of_clone": clones}
    cells = [{**cell, "pass": one} for one in transforms.PASSES.values()]
    assert transforms.render({"cells": cells}).count("| – |") == 4


@pytest.mark.parametrize("module", [transforms, filters], ids=["transforms", "filters"])
def test_bad_options_are_named(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1"):
        module.benchmark(module.Options(threads=(0,)))
