"""Training batches: parts of ranks, epochs, resuming, augmentation, studies on other data."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from experiments.core.batches import EpochBatches, data_report, rank_slice, training_batches
from experiments.core.config import (
    AUGMENTATIONS,
    DataConfig,
    OptimizerConfig,
    RunConfig,
    changed,
)
from experiments.core.data_choice import DataChoice, check_own_data, on_data
from experiments.core.evaluation import evaluate
from experiments.core.folder import RunFolder
from experiments.core.training import AbandonedError, make_task, train
from experiments.studies.smoke import SMOKE
from wavevit.data import EpochSource
from wavevit.data.labelled import LabelledPictures
from wavevit.models import BackboneConfig, make_stages

CPU = torch.device("cpu")


def test_parts_of_the_ranks_are_the_global_batch() -> None:
    batch = {"images": torch.arange(12).reshape(6, 2), "texts": list("abcdef")}
    parts = [rank_slice(batch, rank, 3) for rank in range(3)]
    assert torch.equal(torch.cat([part["images"] for part in parts]), batch["images"])
    assert [text for part in parts for text in part["texts"]] == batch["texts"]
    assert {len(part["texts"]) for part in parts} == {2}


def test_ranks_that_cannot_share_a_batch_are_refused() -> None:
    batch = {"images": torch.zeros(6, 2)}
    with pytest.raises(ValueError, match=r"batch\['images'\]: .* a multiple of 4 \(ranks\), got 6"):
        rank_slice(batch, 0, 4)
    with pytest.raises(ValueError, match="rank: expected a number from 0 to 1, got 2"):
        rank_slice(batch, 2, 2)
    with pytest.raises(ValueError, match=r"batch\['texts'\]: "):
        rank_slice({**batch, "texts": ["a", "b"]}, 0, 2)


@pytest.fixture
def run(tmp_path: Path) -> RunConfig:
    draw = np.random.default_rng(0)
    for index in range(18):
        part = "train" if index < 12 else "test"
        path = tmp_path / "data" / part / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20, 20), dtype=np.uint8)).save(path)
    return RunConfig(
        model=BackboneConfig(
            img_size=16,
            in_chans=1,
            num_classes=2,
            patch_size=8,
            stages=make_stages(depths=[1], embed_dims=[8], num_heads=1),
        ),
        data=DataConfig(
            crop_size=16,
            margin=4,
            source="folder",
            source_options={"path": str(tmp_path / "data")},
            test_crops=6,
            measured_crops=8,
        ),
        optimizer=OptimizerConfig(steps=6, batch_size=4, warmup_steps=1),
        checkpoint_every=2,
    )


@pytest.mark.parametrize("repeats", [1, 2])
def test_batches_in_epochs_do_not_depend_on_what_was_read_before(
    run: RunConfig, repeats: int
) -> None:
    run = changed(run, {"data.repeats": repeats})
    whole = training_batches(run, CPU)
    expected = [whole(4, 100 + step, step)["images"] for step in range(6)]
    resumed = training_batches(run, CPU)
    for step in (3, 4, 1, 5):  # not the step that was read ahead
        assert torch.equal(resumed(4, 100 + step, step)["images"], expected[step])
    parts = [training_batches(run, CPU, rank, 2)(4, 102, 2)["images"] for rank in range(2)]
    assert torch.equal(torch.cat(parts), expected[2])


@pytest.mark.parametrize("name", ["translate", "resize", "flip"])
def test_pictures_are_augmented(run: RunConfig, name: str) -> None:
    plain = training_batches(run, CPU)(4, 0, 0)["images"]
    run = changed(run, {"data.augmentation": (name,)})
    batches = training_batches(run, CPU)
    images = batches(4, 0, 0)["images"]
    assert images.shape == plain.shape
    assert not torch.equal(images, plain)
    assert torch.equal(images, training_batches(run, CPU)(4, 0, 0)["images"])


def test_ranks_augment_their_parts_as_one_process_does(run: RunConfig) -> None:
    """And no two ranks draw the same numbers for other examples."""
    run = changed(run, {"data.augmentation": AUGMENTATIONS})
    expected = training_batches(run, CPU)(4, 102, 2)["images"]
    parts = [training_batches(run, CPU, rank, 2)(4, 102, 2)["images"] for rank in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    torch.testing.assert_close(torch.cat(parts), expected)


@pytest.mark.parametrize("repeats", [1, 2])
def test_repeats_of_a_picture_are_augmented_each_in_its_own_way(
    run: RunConfig, repeats: int
) -> None:
    """An epoch of 12 examples reads 12 or 6 pictures; no two crops are equal, nor are the changes
    of one window."""
    fields = {
        "data.repeats": repeats,
        "data.augmentation": ("flip", "translate"),
        "optimizer.steps": 1,  # nothing is read ahead
    }
    batches = training_batches(changed(run, fields), CPU)
    batch = batches(12, 0, 0)
    assert isinstance(batches, EpochBatches)
    assert len(batches.epochs._kept) == 12 // repeats
    assert len(batch["images"].unique(dim=0)) == 12
    window = batches.epochs.sample(1, torch.Generator().manual_seed(0))["images"]
    changes = batches.augment(window.expand(12, -1, -1, -1))
    assert len(changes.unique(dim=0)) > 6
    sliced = [training_batches(changed(run, fields), CPU, rank, 2)(12, 0, 0) for rank in range(2)]
    torch.testing.assert_close(torch.cat([one["images"] for one in sliced]), batch["images"])


def test_repeats_that_are_read_at_the_same_time_take_memory_once() -> None:
    class Slow(LabelledPictures):
        """Pictures that are read by two threads, which wait for each other."""

        both = threading.Barrier(2, timeout=60)

        def read(self, index: int) -> Tensor:
            self.both.wait()
            return torch.zeros(1, 64, 64)

    source = Slow("train", 32, 0, ["a"], [0] * 4, workers=2, memory=1)
    source.epoch_batch(2, 0, 0, repeats=2)
    held = sum(pixels.untyped_storage().nbytes() for pixels in source._kept.values())
    assert len(source._kept) == 1
    assert source._room == 2**20 - held


def test_sources_that_cannot_repeat_are_refused(run: RunConfig) -> None:
    run = changed(run, {"data.repeats": 2})
    for source, reason in (
        ("scenes", "draws its examples without epochs"),
        ("hf_stream", "is a stream"),
    ):
        other = changed(run, {"data.source": source, "data.source_options": ()})
        for refuses in (lambda one: training_batches(one, CPU), check_own_data):
            with pytest.raises(
                ValueError,
                match=rf"data\.repeats: expected 1 \(the source '{source}' {reason}; .*\)",
            ):
                refuses(other)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data.repeats": 0}, "repeats: expected an integer of at least 1, got 0"),
        (
            {"data.repeats": 3},
            r"optimizer\.batch_size: expected at least 6 \(two pictures, .*\), got 4",
        ),
    ],
)
def test_bad_repeats_are_refused(run: RunConfig, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(run, fields)


@pytest.mark.parametrize("repeats", [1, 2])
def test_run_on_a_folder_resumes_bit_by_bit_and_records_bad_pictures(
    run: RunConfig, repeats: int, tmp_path: Path
) -> None:
    run = changed(run, {"data.repeats": repeats})
    (tmp_path / "data" / "train" / "a" / "bad.png").write_bytes(b"nothing")
    folders = [RunFolder(tmp_path / name) for name in ("whole", "resumed")]
    for folder in folders:
        folder.claim(run)
    calls = iter(range(100))
    with pytest.raises(AbandonedError):
        train(run, folders[1], CPU, still_wanted=lambda: next(calls) < 5)
    results = []
    for folder in folders:
        train(run, folder, CPU)
        assert not list(folder.path.glob("data-rank*"))
        results.append((folder.weights.read_bytes(), data_report(folder.path)))
    assert results[0] == results[1]
    report = results[0][1]["data"]
    assert (report["pictures"], report["unreadable"]) == (13, 1)
    assert "train/a/bad.png" in report["unreadable_names"]


def test_unreadable_pictures_of_all_ranks_are_reported(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rank reads its own pictures, and rank 0 writes the report."""
    files = sorted((tmp_path / "data" / "train").rglob("*.png"))
    for file in (files[1], files[4]):
        file.write_bytes(b"no picture")
    run = changed(run, {"optimizer.steps": 3})  # an epoch: every picture is read once
    ranks = [training_batches(run, CPU, rank, 2) for rank in range(2)]
    found: list[dict[str, str]] = []
    for batches in ranks:
        assert isinstance(batches, EpochBatches)
        for step in range(3):
            batches(4, step, step)
        assert isinstance(batches.epochs, LabelledPictures)
        found.append(dict(batches.epochs.unreadable))
    assert all(found)
    assert found[0] != found[1]  # each has seen what the other has not
    monkeypatch.setattr("experiments.core.batches.of_all_ranks", lambda own: found)
    ranks[0].report(tmp_path)
    assert data_report(tmp_path)["data"]["unreadable"] == 2


def test_measures_of_a_source_with_classes(run: RunConfig) -> None:
    model = make_task(run).network().eval()
    found = evaluate(model, run.data, CPU)
    assert sorted(found["top1_by_class"]) == ["a", "b"]
    assert found["test_crops"] == 6  # each picture of the test split once


def test_study_on_other_data_has_its_classes_and_a_name_of_its_own(run: RunConfig) -> None:
    source = run.data.source_options[0][1]
    options = (f"path={source}", "share=0.5")
    study = on_data(SMOKE, DataChoice(source="folder", source_options=options))
    assert study.name == "smoke_folder_share0.5"
    assert study.command().startswith("python -m experiments run smoke --source folder")
    config = study.configs()["vit"]
    assert (config.model.num_classes, config.data.source) == (2, "folder")
    held = dict(config.data.source_options)
    assert held["share"] == 0.5
    assert len(held["digest"]) == 12
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert on_data(SMOKE, DataChoice()) is SMOKE
    twice = on_data(study, DataChoice(repeats=2))
    assert twice.name == "smoke_folder_share0.5_repeats2"
    assert twice.command().endswith(" --repeats 2")
    assert twice.configs()["vit"].data == dataclasses.replace(config.data, repeats=2)
    with pytest.raises(ValueError, match="repeats: expected an integer of at least 1, got 0"):
        on_data(study, DataChoice(repeats=0))
    with pytest.raises(ValueError, match="source_options: expected NAME=VALUE, got 'path'"):
        on_data(SMOKE, DataChoice(source="folder", source_options=("path",)))
    with pytest.raises(ValueError, match=r"source_options: expected no crop_size, which the study"):
        on_data(SMOKE, DataChoice(source="folder", source_options=(*options, "crop_size=32")))
    with pytest.raises(ValueError, match="photographs: expected a study whose pictures are made"):
        on_data(SMOKE, DataChoice(photographs=Path(source), source="folder"))


def test_home_is_expanded_where_the_shell_does_not(
    run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zsh, among others, keeps the ~ of ``path=~/birds``."""
    source = Path(run.data.source_options[0][1])
    monkeypatch.setenv("HOME", str(source.parent))
    options = (f"path=~/{source.name}",)
    study = on_data(SMOKE, DataChoice(source="folder", source_options=options))
    assert dict(study.configs()["vit"].data.source_options)["path"] == str(source)


class Counting(EpochSource):
    """A stream of numbers: each is the picture that follows the one before."""

    streamed = True

    def __init__(self) -> None:
        super().__init__("train", 2)
        self.at = 0

    def epoch_batch(
        self, count: int, seed: int, step: int, rank: int = 0, world: int = 1
    ) -> dict[str, Any]:
        numbers = torch.arange(self.at, self.at + count // world, dtype=torch.float32)
        self.at += count // world
        return {"images": numbers[:, None, None, None].expand(-1, 1, 2, 2)}

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load_state(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


def test_a_stream_resumes_from_either_of_the_last_two_checkpoints(
    run: RunConfig, tmp_path: Path
) -> None:
    def numbers(batches: EpochBatches, steps: range) -> list[int]:
        found = [batches(4, 0, step)["images"][:, 0, 0, 0] for step in steps]
        return torch.cat(found).int().tolist()

    first = EpochBatches(Counting(), run, CPU)
    assert numbers(first, range(2)) == list(range(8))
    first.save(tmp_path, 2)
    numbers(first, range(2, 4))
    first.save(tmp_path, 4)  # and then it is killed, before the checkpoint is written
    for _ in range(2):
        second = EpochBatches(Counting(), run, CPU)
        second.resume(tmp_path, 2)
        assert numbers(second, range(2, 4)) == list(range(8, 16))
        second.save(tmp_path, 4)
    third = EpochBatches(Counting(), run, CPU)
    third.resume(tmp_path, 4)
    assert numbers(third, range(4, 6)) == list(range(16, 24))
    with pytest.raises(ValueError, match="folder: expected the state of the stream after step 3"):
        third.resume(tmp_path, 3)
    path = tmp_path / "data-rank1.json"
    path.write_text((tmp_path / "data-rank0.json").read_text())
    with pytest.raises(ValueError, match="world: expected 1 ranks, with which the stream began"):
        EpochBatches(Counting(), run, CPU, 1, 2).resume(tmp_path, 4)
    third.finish(tmp_path)
    assert not (tmp_path / "data-rank0.json").exists()
