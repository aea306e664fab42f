"""The benchmark of filters runs, refuses wrong contenders, and its page shows its record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.benchmarks import filters
from experiments.benchmarks.filters import (
    BENCHMARK,
    CONTENDERS,
    Case,
    Options,
    benchmark,
    contenders,
    render,
)
from experiments.benchmarks.interleaved import Transform
from tests.alone_here import Here

TINY = (
    Case("decimated", "db2", "periodization", 1, (1, 2, 16, 8)),
    Case("decimated", "bior4.4", "symmetric", 2, (1, 2, 16, 18)),
    Case("undecimated", "haar", "periodic", 1, (1, 2, 8, 6)),
    Case("undecimated", "haar", "periodic", 2, (1, 2, 8, 6)),
    Case("dual tree", "near_sym_a", "symmetric", 2, (1, 2, 16, 8)),
)
# Who has what: the text at the top of the benchmark says why.
OPPONENTS = (
    {"pytorch-wavelets"},
    {"pytorch-wavelets", "ptwt"},
    {"pytorch-wavelets", "ptwt", "grouped dilated convolution"},
    {"pytorch-wavelets", "grouped dilated convolution"},
    {"pytorch-wavelets"},
)


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real compiler is timed by the command itself; here it would take longer than the test.
    eager = {**CONTENDERS, "wavevit compiled": CONTENDERS["wavevit"]}
    monkeypatch.setattr(filters, "CONTENDERS", eager)


def test_measures_and_records(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "filters.json"
    monkeypatch.setattr(benchmark, "__defaults__", (TINY,))
    monkeypatch.setattr(filters, "Alone", Here)
    BENCHMARK.run(Options(quick=True, threads=(1,), out=out))
    cells = json.loads(out.read_text())["cells"]
    assert len(cells) == 2 * len(TINY)
    for index, cell in enumerate(cells):
        ours = {"wavevit", "wavevit compiled"}
        assert set(cell["milliseconds"]) == ours | {"clone"} | OPPONENTS[index // 2]
        assert set(cell["times_faster_than_best_library"]) == ours
        assert cell["rounds"] == 3
    assert "dual tree near_sym_a symmetric level 2 1x2x16x8" in capsys.readouterr().out
    tables = render({"cells": cells})
    assert [line for line in tables.splitlines() if line.endswith(":")] == [
        "Decimated:",
        "Undecimated:",
        "Dual tree:",
    ]


@pytest.mark.nightly
def test_every_contender_has_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: CONTENDERS[name] for name in ("clone", "wavevit", "wavevit compiled", "ptwt")}
    monkeypatch.setattr(filters, "CONTENDERS", few)
    cells = benchmark(Options(quick=True, threads=(1,)), TINY[1:2])["cells"]
    assert [set(cell["milliseconds"]) for cell in cells] == [set(few)] * 2


def test_several_levels_are_timed_on_the_first_number_of_threads_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = {name: CONTENDERS[name] for name in ("clone", "wavevit")}
    monkeypatch.setattr(filters, "CONTENDERS", few)
    monkeypatch.setattr(filters, "Alone", Here)
    cells = benchmark(Options(quick=True, threads=(1, 2)), TINY[2:4])["cells"]
    assert [(cell["level"], cell["threads"]) for cell in cells[::2]] == [(1, 1), (2, 1), (1, 2)]


def _louder(case: Case) -> Transform:
    return lambda x: tuple(2 * part for part in CONTENDERS["wavevit"](case)(x))


def _mirrored(case: Case) -> Transform:
    return lambda x: tuple(part.flip(-1) for part in CONTENDERS["wavevit"](case)(x))


@pytest.mark.parametrize("wrong", [_louder, _mirrored])
def test_wrong_coefficients_are_refused(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Case], Transform]
) -> None:
    """Negative control: neither other energies nor other places are timed."""
    found = {"clone": CONTENDERS["clone"], "wavevit": CONTENDERS["wavevit"], "wrong": wrong}
    monkeypatch.setattr(filters, "CONTENDERS", found)
    monkeypatch.setattr(filters, "Alone", Here)
    with pytest.raises(ValueError, match="wrong: expected our coefficients"):
        benchmark(Options(quick=True, threads=(1,)), TINY[:1])


def test_a_missing_library_is_said_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(filters, "find_spec", lambda name: None)
    assert not {"ptwt", "pytorch-wavelets"} & set(contenders())
    assert "ptwt is left out" in capsys.readouterr().out


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1"):
        benchmark(Options(threads=(0,)), TINY)
