"""Data sets of Hugging Face: parquet, map-style and streaming, ranks, resuming, bad pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.core.batches import data_report
from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.core.folder import RunFolder
from experiments.core.training import AbandonedError, train
from wavevit.data import HubStream, create_source
from wavevit.data.hub_reading import split_names
from wavevit.data.hub_stream import StreamOrderWarning
from wavevit.models import BackboneConfig, make_stages

datasets = pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")

FILES, EACH = 4, 10


def stored(value: int, bad: bool = False) -> dict[str, Any]:
    """A picture of one grey value, as parquet holds it."""
    file = io.BytesIO()
    Image.fromarray(np.full((12, 10), value, np.uint8)).save(file, "PNG")
    content = file.getvalue()
    return {"bytes": content[:40] if bad else content, "path": f"{value}.png"}


def write(path: Path, values: list[int], bad: int = -1) -> None:
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["even", "odd"])}
    columns = {
        "image": [stored(value, value == bad) for value in values],
        "label": [value % 2 for value in values],
    }
    features = datasets.Features(kinds)
    datasets.Dataset.from_dict(columns, features=features).to_parquet(str(path))


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parquet")
    for number in range(FILES):
        values = list(range(EACH * number, EACH * (number + 1)))
        name = f"train-{number:05}-of-{FILES:05}.parquet"
        write(root / name, values, bad=13)
    write(root / "test-00000-of-00001.parquet", [200, 201, 202, 203])
    return root


def values_of(batch: dict[str, Any]) -> list[int]:
    """The grey values of the pictures of a batch, which name them."""
    return (batch["images"][:, 0, 0, 0] * 255).round().int().tolist()


PLAIN = {"mean": 0.0, "std": 1.0, "least_side": 1}


def test_parts_and_classes_of_a_folder_of_parquet_files(folder: Path, tmp_path: Path) -> None:
    options = {"path": folder, "cache": str(tmp_path), **PLAIN}
    train = create_source("hf", "train", 8, **options)
    test = create_source("hf", "test", 8, **options)
    fit, validation = (create_source("hf", s, 8, **options) for s in ("fit", "validation"))
    assert (len(train), len(test), train.classes) == (FILES * EACH, 4, ("even", "odd"))
    assert sorted(fit.rows + validation.rows) == train.rows
    assert len(validation) == 10
    batch = test.sample(4, torch.Generator().manual_seed(0))
    assert sorted(values_of(batch)) == [200, 201, 202, 203]
    assert [value % 2 for value in values_of(batch)] == batch["labels"].tolist()
    # Every picture once an epoch; the bad one's place is taken, and it is counted.
    seen = [v for step in range(5) for v in values_of(train.epoch_batch(8, 0, step))]
    assert sorted(seen) == sorted([*set(range(40)) - {13}, 14])
    assert train.report()["unreadable"] == 1
    assert "train/13" in train.report()["unreadable_names"]


@pytest.mark.parametrize("source", ["hf", "hf_stream"])
def test_a_folder_with_a_folder_for_each_class(source: str, tmp_path: Path) -> None:
    """What `datasets` calls an imagefolder: classes are names of folders."""
    for part, values in (("train", range(40, 60)), ("test", range(60, 64))):
        for value in values:
            place = tmp_path / "pictures" / part / ("even", "odd")[value % 2]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{value}.png").write_bytes(stored(value)["bytes"])
    options = {"cache": str(tmp_path / "cache")} if source == "hf" else {"block": 20}
    options |= {"path": tmp_path / "pictures", **PLAIN}
    train = create_source(source, "train", 8, **options)
    assert (train.classes, train.num_classes) == (("even", "odd"), 2)
    batches = [train.epoch_batch(5, 0, step) for step in range(4)]
    assert sorted(v for batch in batches for v in values_of(batch)) == list(range(40, 60))
    test = create_source(source, "test", 8, **options)
    batches.append(test.sample(4, torch.Generator().manual_seed(0)))
    for batch in batches:
        assert [value % 2 for value in values_of(batch)] == batch["labels"].tolist()


def stream(folder: Path, **options: Any) -> HubStream:
    found = create_source("hf_stream", "train", 8, path=folder, block=7, **{**PLAIN, **options})
    assert isinstance(found, HubStream)
    return found


def test_stream_gives_every_example_once_an_epoch_in_another_order(folder: Path) -> None:
    source = stream(folder)
    # 39 readable pictures an epoch.
    epochs = [
        [v for step in range(13) for v in values_of(source.epoch_batch(3, 5, 13 * e + step))]
        for e in range(2)
    ]
    for seen in epochs:
        assert sorted(seen) == sorted(set(range(40)) - {13})
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])
    assert source.report()["unreadable"] == 1
    with pytest.raises(ValueError, match="step: expected 26, the next one of the stream, got 3"):
        source.epoch_batch(3, 5, 3)


@pytest.mark.parametrize("world", [2, 3])  # 2 ranks share the four files; 3 share the examples
def test_ranks_share_a_stream_without_loss_or_double_reading(folder: Path, world: int) -> None:
    seen = []
    for rank in range(world):
        source, own = stream(folder), []
        while True:
            batch = source.epoch_batch(world, 0, source.state()["step"], rank, world)
            if source.state()["epoch"]:
                break
            own += values_of(batch)
        seen += own
    assert sorted(seen) == sorted(set(range(40)) - {13})


def test_stream_resumes_also_twice_with_the_next_example(folder: Path) -> None:
    whole = stream(folder)
    expected = [values_of(whole.epoch_batch(4, 1, step)) for step in range(24)]
    found, state = [], None
    for start, stop in ((0, 2), (2, 9), (9, 11), (11, 24)):
        source = stream(folder)
        if state is not None:
            source.load_state(json.loads(json.dumps(state)))
        found += [values_of(source.epoch_batch(4, 1, step)) for step in range(start, stop)]
        state = source.state()
    assert found == expected


def test_first_examples_of_a_sorted_part_are_warned_of(tmp_path: Path) -> None:
    """Fourteen classes, one after the other: the first block is of two of them."""
    kinds = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=[str(number) for number in range(14)]),
    }
    values = list(range(56))
    for name, labels in {
        "sorted": [value // 4 for value in values],
        "mixed": [value % 14 for value in values],
    }.items():
        columns = {"image": [stored(value) for value in values], "label": labels}
        data = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
        data.to_parquet(str(tmp_path / name / "train.parquet"))
    generator = torch.Generator().manual_seed(0)
    stream(tmp_path / "mixed").sample(4, generator)
    with pytest.warns(StreamOrderWarning, match="the first 7 examples .* have 2 of 14 classes"):
        stream(tmp_path / "sorted").sample(4, generator)
    assert stream(tmp_path / "sorted").sample(56, generator)["labels"].unique().numel() == 14


@pytest.mark.parametrize(
    ("parts", "wanted", "found"),
    [
        ("train validation", {"validation": "validation"}, ("train", "", "validation")),
        ("train test", {"validation": "test"}, ("train", "", "test")),
        ("train test validation", {"validation": "test"}, ("train", "validation", "test")),
        ("train validation", {}, ("train", "validation", "")),
    ],
)
def test_a_part_that_was_named_is_taken_for_nothing_else(
    parts: str, wanted: dict[str, str], found: tuple[str, str, str]
) -> None:
    names = split_names(dict.fromkeys(parts.split()), **wanted)
    assert (names["train"], names["test"], names["validation"]) == found


def test_complaints_name_what_is_missing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path: expected a data set with a part for 'validation'"):
        create_source("hf_stream", "validation", 8, path=folder)
    with pytest.raises(ValueError, match="path: expected a data set that `datasets` opens, got"):
        create_source("hf", "train", 8, path=tmp_path / "none")
    with pytest.raises(ValueError, match="image: expected one of 'image'"):
        create_source("hf_stream", "train", 8, path=folder, image="label")


def test_a_picture_without_a_class_is_refused(tmp_path: Path) -> None:
    kinds = {"image": datasets.Image(), "label": datasets.Value("string")}
    columns = {"image": [stored(1), stored(2)], "label": ["cat", None]}
    data = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    data.to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(ValueError, match="label: expected a class for each picture in 'train'"):
        create_source("hf", "train", 8, path=tmp_path / "train.parquet", label="label")


@pytest.mark.nightly
def test_training_on_a_stream_resumes_bit_by_bit(folder: Path, tmp_path: Path) -> None:
    model = BackboneConfig(
        img_size=8,
        in_chans=1,
        num_classes=2,
        patch_size=4,
        stages=make_stages(depths=[1], embed_dims=[8], num_heads=1),
    )
    options = {"path": str(folder), "block": 7, **PLAIN}
    run = RunConfig(
        model=model,
        data=DataConfig(crop_size=8, margin=0, source="hf_stream", source_options=options),
        optimizer=OptimizerConfig(steps=20, batch_size=4, warmup_steps=1),
        checkpoint_every=3,
    )
    whole, resumed = (RunFolder(tmp_path / name) for name in ("whole", "resumed"))
    for one in (whole, resumed):
        one.claim(run)
    cpu = torch.device("cpu")
    for stop in (5, 6):  # killed twice
        calls = iter(range(100))
        with pytest.raises(AbandonedError):
            train(run, resumed, cpu, still_wanted=lambda c=calls, s=stop: next(c) < s)
    for one in (whole, resumed):
        train(run, one, cpu)
    assert whole.weights.read_bytes() == resumed.weights.read_bytes()
    assert data_report(whole.path) == data_report(resumed.path)
    assert data_report(whole.path)["data"]["unreadable"] == 1


@pytest.mark.parametrize("source", ["hf", "hf_stream"])
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"test": "train"}, "test: expected another part than those for train, got 'train' again"),
        (
            {"test": "test", "validation": "test"},
            "validation: expected another part than those for train and test, got 'test' again",
        ),
    ],
)
def test_one_part_is_not_trained_on_and_tested_on(
    folder: Path, tmp_path: Path, source: str, wanted: dict[str, str], message: str
) -> None:
    options = {"cache": str(tmp_path)} if source == "hf" else {}
    with pytest.raises(ValueError, match=message):
        create_source(source, "train", 8, path=folder, **options, **wanted, **PLAIN)
