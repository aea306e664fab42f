"""The benchmark of adaptive tokens measures photographs at several sizes and shows the result."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

import wavevit.data.photographs
from experiments.benchmarks import adaptive_time
from experiments.benchmarks.adaptive_time import (
    BENCHMARK,
    MODELS,
    REFERENCE,
    Options,
    benchmark,
    exponents,
    tables,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs of 128 px, one of 64 px: noise whose contrast grows from left to right."""
    generator = torch.Generator().manual_seed(0)
    for name, side in (("a", 128), ("b", 128), ("small", 64)):
        noise = torch.rand(side, side, 3, generator=generator) - 0.5
        pixels = 255 * (0.5 + noise * torch.linspace(0.01, 1, side)[:, None])
        Image.fromarray(pixels.byte().numpy()).save(tmp_path / f"{name}.png")
    return tmp_path


def test_measures_and_records(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: model for name, model in MODELS.items() if "soft" not in name}
    monkeypatch.setattr(adaptive_time, "MODELS", few)
    before, out = torch.get_num_threads(), folder / "record.json"
    options = Options(quick=True, sides=(128, 64), images=2, threads=1, photographs=folder, out=out)
    BENCHMARK.run(options)
    assert torch.get_num_threads() == before
    record = json.loads(out.read_text())
    assert record["photographs"] == ["a.png", "b.png"]
    assert list(record["sizes"]) == ["64", "128"]
    for side, found in record["sizes"].items():
        finest = (int(side) // 16) ** 2
        assert set(found) == set(few)
        assert found[REFERENCE]["tokens"] == [finest] * 2
        assert found[REFERENCE]["throughput"] == 1.0
        assert found["patches of 32 px"]["tokens"] == [finest // 4] * 2
        assert max(found["half of the tokens, hard"]["tokens"]) <= finest // 2
        assert max(found["quarter of the tokens, hard"]["tokens"]) <= max(finest // 4, 1)
        assert all(own["seconds"] > 0 for own in found.values())
    assert set(exponents(record)) == set(few)
    table = capsys.readouterr().out
    assert tables(record) in table
    assert all(f"| {name} |" in table for name in few)
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
    ],
)
def test_bad_options_are_named(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        benchmark(options)


def test_enlarged_photographs_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is smaller than the image has no details there, and would need few tokens."""
    expected = "photographs: expected a folder with 4 of at least 128 px on the shorter side, got 2"
    with pytest.raises(ValueError, match=expected):
        benchmark(Options(sides=(64, 128), images=4, photographs=folder))
    monkeypatch.setattr(wavevit.data.photographs, "NAMES", ("page", "text"))
    with pytest.raises(ValueError, match="224 px on the shorter side, got 0 in scikit-image"):
        benchmark(Options(sides=(224,), images=2))
