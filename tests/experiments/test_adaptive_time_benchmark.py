"""The benchmark of adaptive tokens measures photographs at several sizes and shows the result."""

from __future__ import annotations

import dataclasses
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
    STUDY_RECORD,
    Model,
    Options,
    benchmark,
    exponents,
    tables,
    targets,
)
from experiments.core.study import Study
from experiments.studies.adaptive import ADAPTIVE
from wavevit.models import token_counts


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


def test_half_of_the_tokens_are_computed() -> None:
    """No other whole budget of a soft split, which computes more than its budget, gets nearer."""
    ramp = torch.linspace(0.01, 1, 128)[:, None]
    noise = torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * ramp

    def computed(model: Model) -> float:
        with torch.inference_mode():
            return token_counts(model.build(noise, small=True), noise).float().mean().item()

    found = computed(MODELS["half of the tokens computed, soft"])
    others = [computed(Model(options={"budget": budget})) for budget in range(1, 65, 3)]
    assert abs(found - 32) <= min(abs(other - 32) for other in others)
    assert found < computed(MODELS["half of the tokens, soft"])


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


def test_targets_are_met_or_missed_by_the_record() -> None:
    def sizes(seconds: float) -> dict[str, object]:
        """Throughput 1.3 and 1.5; the time grows with the given factor from 224 to 448 px."""
        half, share = "half of the tokens, soft", "90 % of the energy, soft"
        return {
            side: {half: {"seconds": 1.0, "throughput": times}, share: {"seconds": own}}
            for side, times, own in (("224", 1.3, 1.0), ("448", 1.5, seconds))
        }

    missed, met = targets({"sizes": sizes(4.0)}), targets({"sizes": sizes(3.0)})
    assert "1.30 at 224 (missed), 1.50 at 448 (met)" in missed
    assert "an exponent of at most 0.8: 1.00 (missed)" in missed
    assert "an exponent of at most 0.8: 0.79 (met)" in met
    assert targets({"sizes": {"224": {REFERENCE: {"seconds": 1.0}}}}) == ""


def test_variants_of_the_study_are_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("vit", "adaptive")
    configs = {name: ADAPTIVE.configs()[name] for name in names}
    few = {"variants": lambda: configs, "contrasts": (), "timed_batch": 2}
    study: Study = dataclasses.replace(ADAPTIVE, **few)
    monkeypatch.setattr(adaptive_time, "ADAPTIVE", study)
    BENCHMARK.run(Options(study=True, threads=1, out=tmp_path))
    record = json.loads((tmp_path / Path(STUDY_RECORD).name).read_text())
    assert record["command"].endswith("bench adaptive_time --study --threads 1")
    assert record["batch"] == [2, 1, 64, 64]
    assert list(record["ratios"]) == list(names)
    assert record["ratios"]["vit"] == 1.0
    assert record["ratios"]["adaptive"] > 0
    shown = capsys.readouterr().out
    assert f"| `adaptive` | {record['ratios']['adaptive']:.2f} |" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(threads=0), "threads: expected an integer of at least 1"),
        (Options(rounds=0), "rounds: expected an integer of at least 1"),
        (Options(sides=()), "sides: expected multiples of 32 pixels"),
        (Options(sides=(224, 230)), "sides: expected multiples of 32 pixels"),
        (Options(images=3), "images: expected a multiple of 2"),
        (Options(study=True, quick=True), "study: expected neither photographs nor quick"),
        (Options(study=True, photographs=Path()), "study: expected neither photographs nor quick"),
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
