"""The benchmark of the transforms runs, checks its contenders, and says what it measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.benchmarks import transforms
from experiments.benchmarks.alone import Alone
from experiments.benchmarks.interleaved import Transform
from experiments.benchmarks.transforms import (
    BENCHMARK,
    CONTENDERS,
    Options,
    benchmark,
    contenders,
    table,
)
from tests.alone_here import Here

TINY = ((1, 2, 16, 8),)


def test_measures_and_records(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The real compiler is timed by the command itself; here it would take longer than the test.
    compiled = {**CONTENDERS, "wavevit compiled": CONTENDERS["wavevit"]}
    monkeypatch.setattr(transforms, "CONTENDERS", compiled)
    monkeypatch.setattr(transforms, "SHAPES", TINY)
    out = tmp_path / "cpu.json"
    BENCHMARK.run(Options(quick=True, threads=(1,), levels=(3,), out=out))
    record = json.loads(out.read_text())
    assert [cell["pass"] for cell in record["cells"]] == ["forward", "forward+backward"]
    for cell in record["cells"]:
        assert set(cell["milliseconds"]) == set(CONTENDERS)
        assert all(value > 0 for value in cell["milliseconds"].values())
        assert set(cell["times_faster_than_best_library"]) == {"wavevit", "wavevit compiled"}
    assert record["environment"]["packages"]["ptwt"] != "not installed"
    printed = capsys.readouterr().out
    assert "1x2x16x8" in printed
    assert "clone ms" in printed


def test_a_missing_library_is_said_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transforms, "find_spec", lambda name: None)
    assert not {"ptwt", "pytorch-wavelets"} & set(contenders())
    assert "ptwt is left out" in capsys.readouterr().out
    cell = {
        "shape": [1, 1, 2, 2],
        "levels": 1,
        "pass": "forward",
        "threads": 1,
        "milliseconds": {"clone": 1.0},
        "multiple_of_clone": {"clone": 1.0, "wavevit": 1.25},
    }
    assert table([cell]).splitlines()[1].split()[-1] == "-"


def _lossy(level: int) -> Transform:
    return lambda x: (x[..., ::2],)


def _broken(level: int) -> Transform:
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("build", "message", "contender"),
    [
        (_lossy, "lossy: expected coefficients with the image's energy", Here),
        (_broken, "lossy: expected a transform that runs, got RuntimeError: no such thing", Alone),
    ],
)
def test_wrong_contenders_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[int], Transform],
    message: str,
    contender: type[Here | Alone],
) -> None:
    """Negative controls: a transform that drops a band, or does not run, is not timed. What goes
    wrong in a process of its own reaches the parent with the contender's name."""
    monkeypatch.setattr(transforms, "CONTENDERS", {"clone": CONTENDERS["clone"], "lossy": build})
    monkeypatch.setattr(transforms, "LIBRARIES", ())
    monkeypatch.setattr(transforms, "Alone", contender)
    with pytest.raises(ValueError, match=message):
        benchmark(Options(quick=True, threads=(1,), levels=(1,)), TINY)


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1"):
        benchmark(Options(threads=(0,)), TINY)
