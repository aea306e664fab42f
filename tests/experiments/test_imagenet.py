"""The study imagenet: its cost, and the whole chain on a small folder of pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.benchmarks.imagenet_cost import PEAKS, Options, gpu_hours, measure, render
from experiments.core.folder import RunFolder
from experiments.core.records import load_record
from experiments.core.study import StudyOptions
from experiments.studies.imagenet import EPOCHS, IMAGENET, IMAGENET_TRIAL, IMAGES
from wavevit.models import Backbone


def picture_folder(root: Path, classes: int = 3, count: int = 8) -> Path:
    """Coloured noise, one colour for each class, in the layout of ImageNet."""
    draws = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(classes):
            place = root / split / f"n{label:08}"
            place.mkdir(parents=True)
            for index in range(count):
                pixels = draws.integers(0, 120, (110, 130, 3))
                pixels[..., label % 3] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{index}.png")
    return root


def test_variants_are_of_one_recipe() -> None:
    for study in (IMAGENET, IMAGENET_TRIAL):
        configs = study.configs().values()
        assert len({(run.optimizer, run.data, run.execution) for run in configs}) == 1
        for run in configs:
            assert Backbone(run.model, device="meta").num_classes == 1000
    run = IMAGENET.configs()["vit"]
    assert run.optimizer.steps * run.optimizer.batch_size == pytest.approx(
        EPOCHS * IMAGES, rel=1e-3
    )


def test_hours_are_those_of_six_operations_for_each_mac() -> None:
    assert gpu_hours(1e9, 3600e6, peak=6, share=1.0) == pytest.approx(1000)
    assert gpu_hours(1e9, 3600e6, peak=6, share=0.5) == pytest.approx(2000)


def test_record_has_every_variant_and_the_page_its_table() -> None:
    record = load_record("imagenet/cost.json")
    assert list(record["models"]) == list(IMAGENET.configs())
    assert (record["images"], record["epochs"]) == (IMAGES, EPOCHS)
    head = render(record).splitlines()[0]
    assert all(name in head for name in PEAKS)


@pytest.mark.nightly  # a model of 22 million parameters
def test_record_is_what_is_measured() -> None:
    found = measure(Options(variants=("vit",)))
    assert found["models"]["vit"] == load_record("imagenet/cost.json")["models"]["vit"]
    assert found["models"]["vit"]["macs"] == pytest.approx(4.6e9, rel=0.01)  # the paper's


def test_trial_trains_and_measures_on_a_folder_of_pictures(tmp_path: Path) -> None:
    root = picture_folder(tmp_path / "pictures")
    options = StudyOptions(
        source_options=(f"path={root}",),
        variants=("vit", "dtcwt"),
        out=tmp_path / "runs",
        jobs=1,
        threads=1,
        timing=False,
        device="cpu",
    )
    assert IMAGENET_TRIAL.run(options) == 0
    for variant in ("vit", "dtcwt"):
        run = RunFolder(tmp_path / "runs" / variant / "seed0")
        config, result = run.load_config(), json.loads(run.result.read_text())
        assert config.model.num_classes == 3
        assert config.optimizer.steps == 20
        assert 0 <= result["top1"] <= 100
        assert result["data"]["pictures"] == 24


def test_trial_reads_a_stream_without_repeats(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")
    root = picture_folder(tmp_path / "pictures")
    stream = {"source": "hf_stream", "source_options": (f"path={root}", "block=8")}
    options = StudyOptions(
        **stream,
        variants=("vit",),
        out=tmp_path / "runs",
        jobs=1,
        threads=1,
        timing=False,
        device="cpu",
    )
    expected = (
        r"data\.repeats: expected 1 \(the source 'hf_stream' is a stream; .*--repeats 1\), got 3"
    )
    with pytest.raises(ValueError, match=expected):
        IMAGENET_TRIAL.run(options)
    options = dataclasses.replace(options, repeats=1, out=tmp_path / "without")
    assert IMAGENET_TRIAL.run(options) == 0
    run = RunFolder(tmp_path / "without" / "vit" / "seed0")
    config = run.load_config()
    own, found = (
        dict(one.data.source_options) for one in (IMAGENET_TRIAL.configs()["vit"], config)
    )
    assert (config.data.repeats, config.model.in_chans) == (1, 3)
    for name in ("mean", "std", "scale"):
        assert tuple(found[name]) == own[name]
    assert 0 <= json.loads(run.result.read_text())["top1"] <= 100


def test_trial_without_a_folder_says_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    options = StudyOptions(
        variants=("vit",), out=out, jobs=1, threads=1, timing=False, device="cpu"
    )
    with pytest.raises(ValueError, match="path: expected a folder with a folder of pictures for"):
        IMAGENET_TRIAL.run(options)
    assert not RunFolder(out / "vit" / "seed0").failed.exists(), "a run has begun"
