"""The benchmark of signals and volumes runs, and refuses wrong contenders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.benchmarks import alone, dimensions
from experiments.benchmarks.alone import Contender
from experiments.benchmarks.dimensions import (
    BENCHMARK,
    CASES,
    CONTENDERS,
    Case,
    Options,
    benchmark,
    render,
)
from experiments.benchmarks.interleaved import Transform


class Here(Contender):
    """A contender of this process: quick, for tests of what is not the isolation of processes."""

    def __init__(self, name: str, build, threads: int) -> None:
        super().__init__(build)

    def close(self) -> None:
        pass


TINY = (
    Case("haar", "zero", 1, (1, 2, 16)),
    Case("db2", "symmetric", 2, (1, 2, 18)),
    Case("db2", "symmetric", 1, (1, 1, 6, 8, 10)),
)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    # torchwavelets is compiled where that is faster: the command itself does it.
    few = {name: build for name, build in CONTENDERS.items() if name != "torchwavelets"}
    monkeypatch.setattr(dimensions, "CONTENDERS", few)
    monkeypatch.setattr(alone, "Alone", Here)


def test_measures_and_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "dimensions.json"
    defaults = benchmark.__defaults__
    assert defaults is not None
    monkeypatch.setattr(benchmark, "__defaults__", (TINY, *defaults[1:]))
    BENCHMARK.run(Options(quick=True, threads=(1,), out=out))
    record = json.loads(out.read_text())
    assert len(record["load"]) == 2
    for index, cell in enumerate(record["cells"]):
        lines = len(TINY[index // 2].shape) == 3
        served = {"wavevit", "clone", "ptwt"} | ({"pytorch-wavelets"} if lines else set())
        assert set(cell["milliseconds"]) == served
        assert cell["best_library"] in served - {"wavevit", "clone"}
        assert cell["times_faster_than_best_library"] > 0
    first = record["cells"][0]
    figure = f"{first['times_faster_than_best_library']:.1f} ({first['best_library']})"
    assert figure in render(record)


def _louder(case: Case) -> Transform:
    return lambda x: tuple(2 * part for part in CONTENDERS["wavevit"](case)(x))


def test_wrong_coefficients_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: what has other energies is not timed."""
    found = {"clone": CONTENDERS["clone"], "wavevit": CONTENDERS["wavevit"], "ptwt": _louder}
    monkeypatch.setattr(dimensions, "CONTENDERS", found)
    with pytest.raises(ValueError, match="ptwt: expected our coefficients"):
        benchmark(Options(quick=True, threads=(1,)), TINY[:1])


def test_every_case_has_even_sides() -> None:
    """Haar reaches beyond no side then, so that its mode does not matter."""
    assert not any(side % 2 for case in CASES for side in case.shape[2:])
