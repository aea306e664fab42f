"""Any task runs through the one training loop: from a study to its report."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.core.batches import training_batches
from experiments.core.checkpoint import load_weights
from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.core.data_choice import DataChoice, on_data
from experiments.core.folder import StudyFolder
from experiments.core.job import plan, run_jobs
from experiments.core.latency import measure_latency
from experiments.core.records import read_json
from experiments.core.snapshots import Snapshots
from experiments.core.study import Contrast, Study
from experiments.core.summarize import summarize
from experiments.core.summary import deciding
from experiments.core.task_evaluation import each_once, evaluate, held_out_windows
from experiments.core.training import make_task
from experiments.reporting.answers import answers_of
from experiments.reporting.answers.examples import held_out_examples
from experiments.reporting.answers.over_training import NAME as OVER_TRAINING
from experiments.reporting.answers.over_training import SHOWN
from experiments.reporting.answers.packed import unpacked
from experiments.reporting.study_report import write_report
from experiments.studies import get_study
from wavevit.models import BackboneConfig, make_stages
from wavevit.tasks import list_tasks

CPU = torch.device("cpu")
OTHERS = [name for name in list_tasks() if name not in ("classification", "segmentation")]
COMPARED = "masked"  # a contrast is the same code for all these tasks
DRAWN = {"autoregressive": "levels", "diffusion": "samples"}  # have samples over training


def study_of(task: str) -> Study:
    """A variant of a task, or two to compare, two steps each, on few crops of 32 pixels."""
    vit = BackboneConfig(
        img_size=32,
        in_chans=1,
        num_classes=18,
        patch_size=8,
        stages=make_stages(depths=[1], embed_dims=[16], num_heads=2),
    )
    run = RunConfig(
        model=vit,
        task=task,
        data=DataConfig(crop_size=32, margin=1, test_crops=6, measured_crops=3),
        optimizer=OptimizerConfig(steps=2, warmup_steps=1, batch_size=4, lr=1e-3),
    )
    haar = dataclasses.replace(run, model=dataclasses.replace(vit, tokenizer="dwt"))
    compared = task == COMPARED
    return Study(
        name=f"short_{task}",
        question="Does it run?",
        variants=lambda: {"vit": run} | ({"haar_vit": haar} if compared else {}),
        baseline="vit",
        contrasts=(Contrast("haar_vit", "vit", "model.tokenizer"),) * compared,
        seeds=(0,),
        snapshots=Snapshots(variants=("vit",) * (task in DRAWN)),
        timed_batch=2,
    )


@pytest.mark.parametrize("task", OTHERS)
def test_task_is_trained_measured_timed_and_reported(task: str, tmp_path: Path) -> None:
    study = study_of(task)
    folder = StudyFolder(tmp_path / "runs", study.name)
    jobs = plan(study, folder, study.seeds)
    left = run_jobs(jobs, CPU, workers=1, threads=1)
    failures = [read_json(job.folder.failed) for job in left if job.folder.failed.exists()]
    assert not left, failures
    result = read_json(jobs[0].folder.result)
    assert result["cost"]["macs"] > 0
    measure_latency(study, folder, CPU)
    summary = summarize(study, folder)
    (score,) = deciding(task)
    for name in study.configs():
        assert len(summary.metrics[name][score].values) == 1
    page = write_report(study, tmp_path / "runs", record=tmp_path / "record").read_text()
    assert f"Task <i>{task}</i>" in page
    table = (tmp_path / "record" / "table.md").read_text()
    assert all(f"`{name}`" in table for name in study.configs())
    answers = answers_of(task)
    assert answers is not None
    record = read_json(tmp_path / "record" / "pictures.json")
    figures = answers.figures(record, study.configs())
    for figure in figures:
        assert f'aria-label="{figure.description}"' in page
        assert figure.alt
    assert (OVER_TRAINING in [figure.name for figure in figures]) == (task in DRAWN)
    if task in DRAWN:
        assert_samples_over_training(record, DRAWN[task])
    beside = {
        "autoregressive": {"lossless.md"},
        "contrastive": {"zero_shot.md"},
        "diffusion": {"likelihood.md", "memorisation.md"},
    }
    tables = {path.name for path in (tmp_path / "record").glob("*.md")}
    assert tables == {"table.md"} | beside.get(task, set())


def assert_samples_over_training(record: dict[str, Any], samples: str) -> None:
    """Rows for both steps and for the start; the last row has the samples of the trained model."""
    own = record[OVER_TRAINING]["vit"]
    assert own["steps"] == [0, 1, 2]
    rows = unpacked(own["samples"]).astype(float).reshape(3, SHOWN, 32, 32)
    trained = unpacked(record["models"]["vit"][samples]).astype(float)[:SHOWN]
    # Half a step of grey of both packings, and rounding.
    assert abs(rows[2] - trained).max() <= own["samples"]["step"] / 2 + 2 + 1
    assert all((one != other).any() for one, other in itertools.pairwise(rows))


def test_segmentation_of_other_data_has_the_metrics_of_its_task(tmp_path: Path) -> None:
    """Not those of composites, on which it was not trained."""
    study = study_of("segmentation")
    run = study.variants()["vit"]
    run = dataclasses.replace(
        run,
        model=dataclasses.replace(run.model, num_classes=5),
        data=dataclasses.replace(run.data, source="object_pixels"),
    )
    study = dataclasses.replace(study, variants=lambda: {"vit": run})
    folder = StudyFolder(tmp_path / "runs", study.name)
    (job,) = plan(study, folder, study.seeds)
    assert run_jobs([job], CPU, workers=1, threads=1) == []
    result = read_json(job.folder.result)
    task = make_task(job.folder.load_config())
    load_weights(job.folder.weights, task.network())
    with torch.no_grad():
        source, windows = held_out_windows(run, run.data.test_crops)
        truth = task.eval().evaluate(source.crop(windows))
    assert result["metrics"]["miou"] == pytest.approx(task.summarize(truth)["miou"])
    assert list(result["shifts"]["border_shift"]) == ["1"]
    measure_latency(study, folder, CPU)
    assert summarize(study, folder).deciding == ("miou",)
    page = write_report(study, tmp_path / "runs", record=tmp_path / "record").read_text()
    assert "Task <i>segmentation</i>" in page
    assert "two of 5 photographs" not in page
    table = (tmp_path / "record" / "table.md").read_text()
    assert "| border shift at 1 px, px |" in table


def test_jitter_of_masks_is_measured_by_the_task_on_other_data() -> None:
    dense = get_study("dense")
    assert dense.measures == ("mask_jitter",)
    assert on_data(dense, DataChoice(source="object_pixels")).measures == ()


@pytest.mark.parametrize("task", list_tasks())
def test_batches_of_a_task_follow_from_the_seed(task: str) -> None:
    run = study_of(task).configs()["vit"]
    batches = training_batches(run, CPU)
    one, again, other = (batches(4, seed)["images"] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_unknown_source_is_named() -> None:
    run = study_of("classification").configs()["vit"]
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, source="scene"))
    with pytest.raises(ValueError, match=r"source: expected one of .*nearest: scenes"):
        training_batches(run, CPU)


def test_repeats_are_left_out_and_all_else_stays() -> None:
    images = torch.tensor([1.0, 2, 1, 1, 2, 3])[:, None, None, None]
    boxes = [torch.ones(1, 4), torch.zeros(0, 4), torch.ones(1, 4), torch.ones(2, 4)]
    examples = {
        "images": images,
        "labels": torch.tensor([0, 1, 0, 0, 1, 2]),
        "boxes": [*boxes, torch.zeros(0, 4), torch.zeros(0, 4)],
        "texts": ["a", "b", "a", "a", "c", "a"],
    }
    found = each_once(examples)
    assert found["images"].flatten().tolist() == [1, 2, 1, 2, 3]
    assert found["labels"].tolist() == [0, 1, 0, 1, 2]
    assert found["texts"] == ["a", "b", "a", "c", "a"]
    assert [len(own) for own in found["boxes"]] == [1, 0, 2, 0, 0]


def test_no_image_of_a_ranking_is_found_by_its_repeat() -> None:
    """Two crops of a place may be the same crop: any model would find one by the other."""
    run = study_of("retrieval").variants()["vit"]
    data = dataclasses.replace(run.data, crop_size=64, margin=16, test_crops=300)
    run = dataclasses.replace(run, data=data)
    _, windows = held_out_windows(run, data.test_crops)
    flat = windows["images"].flatten(1)
    assert len(flat.unique(dim=0)) < len(flat)  # else this test holds of nothing
    kept = each_once(windows)["images"].flatten(1)
    assert len(kept.unique(dim=0)) == len(kept) == len(flat.unique(dim=0))


def test_a_measured_run_counts_each_crop_once() -> None:
    run = study_of("retrieval").variants()["vit"]
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, margin=0, test_crops=400))
    _, windows = held_out_windows(run, 400)
    count = len(each_once(windows)["images"])
    assert count < 400
    result = evaluate(make_task(run), run, CPU)
    assert result["test_crops"] == count
    shown = held_out_examples(run).crops(0, 400)  # the report's figure searches the same pictures
    assert len(shown["images"]) == count
    assert result["metrics"]["gallery"] == count - 1
