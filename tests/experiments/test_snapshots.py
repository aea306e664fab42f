"""Weights that are kept on the way: which, when, and that nothing else changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.job import plan, run_jobs
from experiments.core.rate_choice import RateChoice, rate_study
from experiments.core.records import environment, read_json
from experiments.core.reuse import reuse_equal_runs
from experiments.core.snapshots import Snapshots
from experiments.core.study import Study
from experiments.core.training import train
from experiments.reporting.answers.over_training import (
    SHOWN,
    over_training,
    over_training_figures,
    over_training_picture,
)
from experiments.reporting.answers.packed import packed
from experiments.reporting.trained import TrainedRuns
from experiments.studies.autoregressive import AUTOREGRESSIVE
from experiments.studies.diffusion import DIFFUSION
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from tests.experiments.noise_source import noise_run
from tests.experiments.quick_study import quick
from tests.experiments.ranks import train_until

CPU = torch.device("cpu")
STEPS = (0, 3, 6, 7, 12)  # of 12, with a checkpoint every 2


def claimed(path: Path, **execution: Any) -> RunFolder:
    folder = RunFolder(path)
    folder.claim(noise_run(**execution))
    return folder


def kept(folder: RunFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.path.glob("snapshot_*")}


def keeping(name: str = "smoke") -> Study:
    """The quick study, whose plain ViT keeps its weights."""
    return dataclasses.replace(quick(name), snapshots=Snapshots(variants=("vit",)))


def test_shares_of_the_training_become_steps() -> None:
    assert Snapshots().steps(360) == (0, 45, 90, 180, 360)
    assert Snapshots().steps(2) == (0, 1, 2)  # several shares round to one step
    assert Snapshots(shares=(0.5,)).steps(7) == (4,)


@pytest.mark.parametrize(
    "shares", [(), (0.5, 0.5), (1.0, 0.5), (-0.1, 1.0), (0.0, 1.5), (float("nan"),)]
)
def test_bad_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares: expected at least one number from 0 to 1"):
        Snapshots(shares=shares)


@pytest.mark.parametrize("name", ["cnn", "vit then phase_lock"])
def test_variants_that_are_not_trained_are_refused(name: str) -> None:
    study = dataclasses.replace(quick(), snapshots=Snapshots(variants=(name,)))
    with pytest.raises(ValueError, match=f"snapshots.variants: expected one of .*{name}"):
        study.configs()


def test_variants_that_are_not_pictured_are_refused() -> None:
    study = dataclasses.replace(keeping(), pictured=("vit + phase_lock",))
    with pytest.raises(ValueError, match=r"snapshots\.variants: expected one of"):
        study.configs()


def test_trainings_that_choose_a_rate_keep_nothing() -> None:
    own = PATCH_VS_WAVELET
    study = dataclasses.replace(
        own, rates=RateChoice(), snapshots=Snapshots(variants=(own.baseline,))
    )
    assert rate_study(study, (own.baseline,)).snapshots == Snapshots()


@pytest.mark.parametrize("ema_use", ["beside", "in place"])
def test_weights_on_the_way_change_no_bit_and_survive_a_stop(ema_use: str, tmp_path: Path) -> None:
    """The run stops after a snapshot, before its checkpoint; resumed, it has every snapshot."""
    options = {"ema": 0.5, "ema_use": ema_use}
    plain, whole, stopped = (claimed(tmp_path / name, **options) for name in ("a", "b", "c"))
    train(plain.load_config(), plain, CPU)
    train(whole.load_config(), whole, CPU, snapshots=STEPS)
    assert whole.weights.read_bytes() == plain.weights.read_bytes()
    assert whole.metrics.read_text() == plain.metrics.read_text()
    assert kept(plain) == {}
    # The last step is the end: the weights themselves.
    assert set(kept(whole)) == {f"snapshot_{step}.safetensors" for step in STEPS[:-1]}
    assert len({*kept(whole).values(), whole.weights.read_bytes()}) == len(STEPS)
    train_until(stopped, 7, snapshots=STEPS)
    stopped.snapshot(7).unlink()  # written after the last checkpoint, at 6 steps
    before = kept(stopped)
    train(stopped.load_config(), stopped, CPU, snapshots=STEPS)
    assert before.items() < kept(stopped).items()
    assert kept(stopped) == kept(whole)


@pytest.mark.parametrize(("ema_use", "prefix"), [("beside", "model."), ("in place", "average.")])
def test_kept_weights_are_those_that_the_run_would_end_with(
    ema_use: str, prefix: str, tmp_path: Path
) -> None:
    """Against the checkpoint of the same step: the average where it takes their place."""
    folder = claimed(tmp_path / "run", ema=0.5, ema_use=ema_use)
    train_until(folder, 6, snapshots=(6,))
    found, checkpoint = load_file(folder.snapshot(6)), load_file(folder.checkpoint)
    for name, value in found.items():
        (same,) = [key for key in checkpoint if key.startswith(prefix) and key.endswith(name)]
        assert torch.equal(checkpoint[same], value), name
    other = next(key for key in checkpoint if "fc1" in key and not key.startswith(prefix))
    assert not any(torch.equal(checkpoint[other], value) for value in found.values())


def test_first_seed_of_the_named_variants_keeps_them(tmp_path: Path) -> None:
    """And their runs are the same as without: configuration, weights, and what is complete."""
    study = keeping()
    folder = StudyFolder(tmp_path / "smoke", study.name)
    jobs = plan(study, folder, (1, 0), ["vit", "vit + phase_lock"])
    assert run_jobs(jobs, CPU, workers=1, threads=1) == []
    assert {job.label for job in jobs if kept(job.folder)} == {"vit, seed 0"}
    run = folder.run("vit", 0)
    assert sorted(kept(run)) == [f"snapshot_{step}.safetensors" for step in (0, 1, 2, 3)]
    plain = StudyFolder(tmp_path / "plain", study.name)
    (job,) = plan(quick(), plain, (0,), ["vit"])
    assert run_jobs([job], CPU, workers=1, threads=1) == []
    assert job.folder.config.read_bytes() == run.config.read_bytes()
    assert job.folder.weights.read_bytes() == run.weights.read_bytes()
    # A run that was trained without them stays complete.
    assert all(one.complete for one in plan(study, plain, (0,), ["vit"]))


def test_runs_that_keep_weights_take_none_from_other_studies(tmp_path: Path) -> None:
    first = StudyFolder(tmp_path / "first", "first")
    assert run_jobs(plan(quick("first"), first, (0,), ["vit"]), CPU, 1, 1) == []
    second = StudyFolder(tmp_path / "second", "second")
    jobs = plan(keeping("second"), second, (0,), ["vit"])
    assert reuse_equal_runs(jobs, second, environment(CPU, 1)) == 0
    without = [dataclasses.replace(job, snapshots=()) for job in jobs]
    assert reuse_equal_runs(without, second, environment(CPU, 1)) == 1


def test_parts_of_kept_weights_of_killed_processes_are_removed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    (run.path / f".{run.snapshot(45).name}.4711.part").write_bytes(bytes(100))
    run.snapshot(45).write_bytes(b"whole")
    with run.locked():
        assert sorted(path.name for path in run.path.iterdir()) == [".lock", run.snapshot(45).name]


def test_variant_without_kept_weights_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = keeping()
    folder = StudyFolder(tmp_path / "smoke", study.name)
    jobs = plan(study, folder, (0,), ["vit"])
    assert run_jobs(jobs, CPU, workers=1, threads=1) == []
    trained = TrainedRuns(folder, {"vit": (0,)}, study.snapshots)
    files = trained.over_training()["vit"]
    assert list(files) == [0, 1, 2, 3, 6]
    assert files[6] == jobs[0].folder.weights
    start, end = (trained.at("vit", file).state_dict() for file in (files[0], files[6]))
    assert any(not torch.equal(start[name], end[name]) for name in start)
    files[2].unlink()
    assert over_training(trained, lambda model: pytest.fail("nothing to draw"), 8) == {}
    told = capsys.readouterr().out
    assert f"No pictures of vit over training: {jobs[0].folder.path} has no snapshot_2" in told
    assert "run the study again with its first seed" in told
    assert over_training_figures({}, "") == []


def test_rows_of_the_picture_are_the_steps_of_all_models() -> None:
    """A place stays empty where a model has no weights of that step."""
    pictures = np.arange(4, dtype=np.uint8)[:, None, None] * np.full((8, 8), 50, np.uint8)
    models = {
        name: {"steps": steps, "samples": packed(pictures)}
        for name, steps in {"vit": [0, 4], "swin": [0, 2]}.items()
    }
    axis = over_training_picture(models).axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts == [*["vit"] * SHOWN, *["swin"] * SHOWN, "0 steps", "2 steps", "4 steps"]
    columns = [
        sorted({image.get_extent()[0] for image in axis.images}).index(left)
        for left in (image.get_extent()[0] for image in axis.images)
    ]
    greys = [int(image.get_array()[0, 0]) for image in axis.images]
    # Row by row: both models, then the second one alone, then the first.
    assert columns == [0, 1, 2, 3, 2, 3, 0, 1]
    assert [grey // 50 for grey in greys] == [0, 1, 0, 1, 2, 3, 2, 3]


@pytest.mark.parametrize("study", [AUTOREGRESSIVE, DIFFUSION], ids=lambda study: study.name)
def test_studies_of_generation_keep_weights_of_one_seed(study: Study) -> None:
    keep = {
        (name, seed)
        for name in study.configs()
        for seed in study.seeds
        if study.snapshot_steps(name, seed)
    }
    assert keep == {("vit", 0), ("dtcwt_pyramid", 0)}
    assert study.snapshot_steps("vit", 0) == (0, 45, 90, 180, 360)
    summary = read_json(Path(f"experiments/records/{study.name}/summary.json"))
    assert "snapshots" not in str(summary["configs"])
