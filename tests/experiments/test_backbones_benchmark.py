"""The benchmark of the backbones runs on both paths' arguments and says what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from experiments.benchmarks import backbones
from experiments.benchmarks.backbones import MODELS, REFERENCE, Options, benchmark, main, tables
from wavevit import create_model

SMALL = {
    REFERENCE: lambda side: create_model("test_vit", img_size=side),
    "haar": lambda side: create_model("test_haar_pyramid"),
    "haar folded": lambda side: create_model("test_haar_pyramid").fold(),
}


def test_measures_and_records(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backbones", "--quick", "--threads", "1", "--batch", "2", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    monkeypatch.setattr(backbones, "benchmark", lambda options: benchmark(options, SMALL))
    before = torch.get_num_threads()
    main()
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
    table = (tmp_path / "cpu.md").read_text()
    assert table in capsys.readouterr().out
    assert table.count("`haar folded`") == 2


def test_throughput_as_a_table() -> None:
    row = {"model": "m", "side": 224, "batch": 64, "images_per_second": 1234.5, "peak_bytes": 2**29}
    assert "| `m` | 224 | 1234 | 0.50 |" in tables({"throughput": [row]})


@pytest.mark.parametrize("name", MODELS)
def test_contenders_take_other_sizes(name: str) -> None:
    with torch.no_grad():
        assert MODELS[name](64)(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1"):
        benchmark(Options(threads=(0,)), SMALL)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device: expected a device of this machine"):
            benchmark(Options(device="cuda"), SMALL)
