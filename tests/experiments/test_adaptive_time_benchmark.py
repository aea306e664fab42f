"""The benchmark of adaptive tokens measures photographs at several sizes, and shows what it found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from experiments.benchmarks.adaptive_time import (
    BENCHMARK,
    MODELS,
    REFERENCE,
    Options,
    benchmark,
    exponents,
    tables,
)


def test_measures_and_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    BENCHMARK.run(Options(quick=True, sides=(128, 64), images=2, threads=1, out=tmp_path))
    assert torch.get_num_threads() == before
    record = json.loads((tmp_path / "adaptive_time.json").read_text())
    assert len(record["photographs"]) == 2
    assert list(record["sizes"]) == ["64", "128"]
    for side, found in record["sizes"].items():
        finest = (int(side) // 16) ** 2
        assert set(found) == set(MODELS)
        assert found[REFERENCE]["tokens"] == [finest] * 2
        assert found[REFERENCE]["throughput"] == 1.0
        assert found["patches of 32 px"]["tokens"] == [finest // 4] * 2
        assert max(found["half of the tokens, hard"]["tokens"]) <= finest // 2
        assert max(found["quarter of the tokens, hard"]["tokens"]) <= max(finest // 4, 1)
        assert all(own["seconds"] > 0 for own in found.values())
    assert set(exponents(record)) == set(MODELS)
    table = capsys.readouterr().out
    assert tables(record) in table
    assert all(f"| {name} |" in table for name in MODELS)
    assert all(f"| `{backend}` |" in table for backend in ("dense", "padded", "jagged"))


def test_table_has_mean_tokens_ratio_and_exponent() -> None:
    def size(seconds: float, tokens: int) -> dict[str, object]:
        own = {"seconds": seconds, "throughput": 1 / seconds, "tokens": [tokens, tokens + 2]}
        return {REFERENCE: own}

    record = {
        "sizes": {"224": size(1.0, 9), "448": size(16.0, 49)},
        "backends": {"a, dense": {"seconds": 1.0, "throughput": 1.0}},
        "photographs": ["p", "q"],
        "batch": 2,
    }
    assert exponents(record) == {REFERENCE: pytest.approx(2.0)}
    assert f"| {REFERENCE} | 10 | 50 | 1 | 16 | 1.00 | 0.06 | 2.00 |" in tables(record)
    del record["sizes"]["448"]
    assert exponents(record) == {}
    assert "exponent" not in tables(record)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(threads=0), "threads: expected an integer of at least 1"),
        (Options(rounds=0), "rounds: expected an integer of at least 1"),
        (Options(sides=()), "sides: expected multiples of 32 pixels"),
        (Options(sides=(224, 230)), "sides: expected multiples of 32 pixels"),
        (Options(images=3), "images: expected a multiple of 2"),
        (Options(), "photographs: expected a folder with 6 of at least 896 px"),
    ],
)
def test_bad_options_are_named(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        benchmark(options)
