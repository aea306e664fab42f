"""The benchmark of the backbones runs on both paths' arguments and says what it measured."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiments.benchmarks import throughput
from experiments.benchmarks.backbones import (
    BENCHMARK,
    MODELS,
    REFERENCE,
    Options,
    benchmark,
    tables,
)
from tests.worker_here import WorkerHere
from wavevit import create_model

SMALL = {
    REFERENCE: lambda side: create_model("test_vit", img_size=side),
    "haar": lambda side: create_model("test_haar_pyramid"),
    "haar folded": lambda side: create_model("test_haar_pyramid").fold(),
}


def test_measures_and_records(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "__defaults__", (SMALL, benchmark.__defaults__[1]))
    before = torch.get_num_threads()
    BENCHMARK.run(Options(quick=True, threads=(1,), batch=2, out=tmp_path))
    assert torch.get_num_threads() == before
    record = json.loads((tmp_path / "cpu.json").read_text())
    (timed,) = record["latency"]["ratios"]
    assert set(timed["ratio"]) == set(SMALL) == set(record["growth"])
    assert timed["ratio"][REFERENCE] == 1.0
    assert record["latency"]["batch"] == 2
    exponents = [found["macs"]["exponent"] for found in record["growth"].values()]
    assert all(1 < exponent < 2 for exponent in exponents)  # both have attention, and more
    for quantities in record["growth"].values():
        assert (
            quantities["peak_bytes"]["by_side"]["128"] > quantities["peak_bytes"]["by_side"]["64"]
        )
    table = capsys.readouterr().out
    assert table.count("`haar folded`") == 2
    assert tables(record) in table


def test_throughput_as_a_table() -> None:
    row = {"model": "m", "side": 224, "batch": 64, "images_per_second": 1234.5, "peak_bytes": 2**29}
    failed = {"model": "n", "side": 224, "batch": 64, "error": "KeyError: 1"}
    text = tables({"throughput": [{**row, "times_reference": 0.987}, failed]})
    assert "| `m` | 224 | 1234 | 0.99 | 0.50 |" in text
    assert "| `n` | 224 | failed: KeyError: 1 | – | – |" in text


MIXED = {
    "vit": partial(create_model, "test_vit"),  # the side comes as the first argument
    "pyramid": lambda side: create_model("test_haar_pyramid"),
}


def test_throughput_names_what_fails_and_measures_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the CPU, eagerly: what a GPU adds is the command's own to show."""
    monkeypatch.setattr(throughput, "Worker", WorkerHere)
    saved: list[list[dict[str, Any]]] = []
    # It is set in the worker. pytest 9.2.0's monkeypatch would remove it when the test ends.
    with torch._inductor.config.patch(compile_threads=1):
        rows = throughput.throughput(
            MIXED, 1, (32, 64), saved.append, device="cpu", compiled=False, rounds=1
        )
    assert [(row["model"], row["side"]) for row in rows] == [
        (name, side) for side in (32, 64) for name in MIXED
    ]
    assert len(saved) == 2
    for row in rows:
        if row["model"] == "vit":
            assert "TypeError" in row["error"]
        else:
            assert row["images_per_second"] > 0
            assert row["peak_bytes"] > 0
    assert "times_reference" not in rows[1]  # the reference is what failed


@pytest.mark.nightly
def test_throughput_measures_in_processes_and_does_not_wait_forever() -> None:
    row, late = (
        throughput.throughput(
            {"m": _pyramid}, 1, (32,), lambda _: None, device="cpu", compiled=False, limit=limit
        )[0]
        for limit in (900.0, 0.0)
    )
    assert row["images_per_second"] > 0
    assert late["error"] == "not ready in time"


def _pyramid(side: int) -> nn.Module:
    return create_model("test_haar_pyramid")


@pytest.mark.parametrize("name", MODELS)
def test_models_accept_other_sizes(name: str) -> None:
    with torch.no_grad():
        assert MODELS[name](64)(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1"):
        benchmark(Options(threads=(0,)), SMALL)
    with pytest.raises(ValueError, match="sides: expected an integer of at least 32"):
        benchmark(Options(sides=(224, 16)), SMALL)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device: expected a device of this machine"):
            benchmark(Options(device="cuda"), SMALL)
