"""Benchmark `loading`: a figure for every reader, for augmentation and for the training step."""

from __future__ import annotations

from functools import partial

from experiments.benchmarks.loading import Case, Options, benchmark, table
from wavevit import create_model


def test_reads_and_trains_and_shows_both() -> None:
    build = partial(create_model, "test_vit", num_classes=18, img_size=32)
    cases = {"tiny": Case(build, 32, 4, {"color": True, "short_side": 48}, ("flip", "jitter"))}
    record = benchmark(Options(quick=True, workers=(0, 1)), cases)
    found = record["cases"]["tiny"]
    assert found["training step"]["times_step"] == 1
    assert "augmentation (flip, jitter)" in found
    assert len(found) == 5
    for row in found.values():
        assert row["images_per_second"] > 0
    assert "| tiny | read, 1 thread |" in table(record)
