"""Without a GPU, its benchmark of the transforms checks contenders and renders the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.benchmarks import transforms_cuda
from experiments.benchmarks.transforms_cuda import (
    BENCHMARK,
    COMPILED,
    CONTENDERS,
    COPY,
    OURS,
    PASSES,
    PLAIN,
    Contender,
    Options,
    benchmark,
    render,
)
from experiments.core.records import load_record

TINY = (2, 4, 16, 8)


@pytest.fixture(autouse=True)
def _nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compilers are timed by the command itself; here they would take longer than the test."""
    eager = {**CONTENDERS, COMPILED: CONTENDERS[OURS], PLAIN: CONTENDERS[OURS]}
    monkeypatch.setattr(transforms_cuda, "CONTENDERS", eager)


def test_measures_and_records(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cuda.json"
    monkeypatch.setattr(benchmark, "__defaults__", (TINY, benchmark.__defaults__[1]))
    BENCHMARK.run(Options(quick=True, device="cpu", out=out))
    record = json.loads(out.read_text())
    cells = record["cells"]
    assert [cell["pass"] for cell in cells] == 4 * list(PASSES)
    for cell in cells:
        timed = {COPY, *CONTENDERS} - set(cell["refuses"])
        assert set(cell["milliseconds"]) == set(cell["share_of_copy"]) == timed
        assert cell["share_of_copy"][COPY] == 1.0
    half = [cell for cell in cells if cell["dtype"] == "bfloat16"]
    assert all("not supported" in cell["refuses"]["ptwt"] for cell in half)
    printed = capsys.readouterr().out
    assert "float32, levels: 1, forward, share of the copy: " in printed
    assert render(record) in printed
    assert "| bfloat16 | 3 | inverse |" in render(record)


def test_share_below_the_target_is_bold() -> None:
    record = load_record("transforms/cuda.json")
    record["cells"] = record["cells"][:1]
    record["cells"][0]["share_of_copy"][OURS] = 0.8449
    assert "| **84** |" in render(record)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: x[..., ::2], "results with the energy of what went in"),
        (lambda x: 1 / 0 * x, "division by zero"),
    ],
)
def test_wrong_contenders_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    forward: Callable[[torch.Tensor], torch.Tensor],
    message: str,
) -> None:
    """Negative controls: a transform that drops every second column, and one that breaks."""
    lossy = {**transforms_cuda.CONTENDERS, "ptwt": lambda level: Contender(forward, forward)}
    monkeypatch.setattr(transforms_cuda, "CONTENDERS", lossy)
    with pytest.raises((ValueError, ZeroDivisionError), match=message):
        benchmark(Options(quick=True, device="cpu", levels=(1,), dtypes=("float32",)), TINY)


def test_our_results_are_compared_with_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the right energy is not enough for us."""
    exact = CONTENDERS[OURS](1)
    mirrored = Contender(lambda x: exact.forward(x.flip(-1)), exact.inverse)
    wrong = {**transforms_cuda.CONTENDERS, OURS: lambda level: mirrored}
    monkeypatch.setattr(transforms_cuda, "CONTENDERS", wrong)
    with pytest.raises(AssertionError, match="relative error"):
        benchmark(Options(quick=True, device="cpu", levels=(1,), dtypes=("float32",)), TINY)


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="levels: expected an integer of at least 1"):
        benchmark(Options(device="cpu", levels=(0,)), TINY)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device: expected a device of this machine"):
            benchmark(Options(), TINY)
