"""Segmentation of composites: what is drawn, what the head sees, what is measured, the study."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.batches import training_batches
from experiments.core.checkpoint import load_weights
from experiments.core.config import DataConfig, RunConfig
from experiments.core.folder import StudyFolder
from experiments.core.job import plan, run_jobs
from experiments.core.latency import measure_latency
from experiments.core.segmentation.composites import held_out_composites
from experiments.core.segmentation.measures import (
    Logits,
    edge_band,
    evaluate,
    further,
    mask_jitter,
    mean_iou,
)
from experiments.core.study import Study
from experiments.core.summarize import summarize
from experiments.core.training import make_model
from experiments.reporting.study_report import write_report
from experiments.studies import get_study
from tests.examples import examples
from wavevit.data import Scenes, composites
from wavevit.measure import cost
from wavevit.models import Backbone
from wavevit.tasks import Segmentation

CPU = torch.device("cpu")
FEW = DataConfig(test_crops=36, measured_crops=18)


def drawn(seed: int, margin: int = 0, count: int = 18):
    scenes = Scenes("test", 64, margin)
    generator = torch.Generator().manual_seed(seed)
    return scenes, composites(scenes, count, generator)


@examples(daily=10)
@given(st.integers(0, 2**31 - 1), st.sampled_from([0, 16]))
def test_each_composite_shows_two_photographs_in_equal_parts(seed: int, margin: int) -> None:
    scenes, batch = drawn(seed, margin)
    side = scenes.window
    assert batch.images.shape == (18, 1, side, side)
    assert batch.labels.shape == (18, side, side)
    for labels in batch.labels:
        first, second = labels.unique()
        share = float((labels == first).double().mean())
        assert share == pytest.approx(0.5, abs=1e-3), (first, second)


@examples(daily=10)
@given(st.integers(0, 2**31 - 1))
def test_away_from_the_border_a_composite_is_its_photograph(seed: int) -> None:
    """The generator draws the crops first, so they are known; the blend stays near the border."""
    scenes, batch = drawn(seed)
    crops = scenes.sample(36, torch.Generator().manual_seed(seed))
    inside = ~edge_band(batch.labels)
    assert 0.3 < float(inside.double().mean()) < 0.98
    pairs, names = crops.images[:, 0].unflatten(0, (18, 2)), crops.labels.unflatten(0, (18, 2))
    own, other = (
        [],
        [],
    )  # where random heights are flat the blend is wide: of all composites together
    for which in (0, 1):
        mine = batch.labels == names[:, which, None, None]
        difference = (batch.images[:, 0] - pairs[:, which]).abs()
        own.append(difference[inside & mine])
        other.append(difference[~mine])
    assert float(torch.cat(own).mean()) < 0.05 * float(torch.cat(other).mean())


def test_drawing_follows_from_the_seed() -> None:
    batches = training_batches(get_study("dense").configs()["vit"], CPU)
    one, again, other = (batches(8, seed) for seed in (3, 3, 4))
    assert torch.equal(one["images"], again["images"])
    assert torch.equal(one["labels"], again["labels"])
    assert not torch.equal(one["images"], other["images"])
    scenes, held_out = held_out_composites(FEW, CPU)
    assert scenes.split == "test"
    assert held_out.images.shape == (18, 1, 96, 96)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"scenes.classes: .*even number.*got 3"):
        composites(Scenes("train", classes=("brick", "coffee", "retina")), 2, torch.Generator())
    run = get_study("dense").configs()["vit"]
    with pytest.raises(ValueError, match=r"data: .*composites.*places=3"):
        training_batches(dataclasses.replace(run, data=DataConfig(places=3)), CPU)
    model = make_model(get_study("dense").configs()["vit"])
    with pytest.raises(ValueError, match=r"measures: expected one of 'mask_jitter', got 'zoom'"):
        evaluate(model, FEW, CPU, ("zoom",))


def test_mean_iou_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 1, 1]]])
    answers = torch.tensor([[[0, 1, 1, 1]]])
    assert mean_iou(answers, labels, 4) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert mean_iou(labels, labels, 4) == 1
    assert mean_iou(torch.full_like(labels, 3), labels, 4) == 0


def test_edge_band_is_four_pixels_on_either_side() -> None:
    labels = torch.zeros(1, 20, 20, dtype=torch.long)
    labels[..., 10:] = 7
    (columns,) = edge_band(labels)[0].all(dim=0).nonzero(as_tuple=True)
    assert columns.tolist() == list(range(6, 14))


@pytest.mark.parametrize("name", get_study("dense").configs())
def test_the_head_is_light_and_the_same(name: str) -> None:
    """One map a stride, fused at stride 4; every weight has a gradient; costs are near the
    classifier's, and near each other's."""
    run = get_study("dense").configs()[name]
    model = make_model(run)
    assert isinstance(model, Segmentation)
    x = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = model.maps(x)
    strides = [64 // item.shape[-1] for item in maps]
    assert strides == sorted(set(strides))
    assert strides[0] == 4 * model.fine
    logits = model.logits(x)
    assert logits.shape == (2, 18, 64, 64)
    logits.square().mean().backward()
    without = [key for key, p in model.named_parameters() if p.grad is None]
    assert without == []
    macs = cost(Logits(model.eval()), x[:1]).macs
    classifier = cost(Backbone(run.model).eval(), x[:1]).macs
    assert classifier < macs < 1.06 * classifier
    baseline = make_model(get_study("dense").configs()["vit"]).eval()
    assert macs == pytest.approx(cost(Logits(baseline), x[:1]).macs, rel=0.05)


def test_a_model_that_knows_the_truth_is_perfect_and_one_that_does_not_is_at_chance() -> None:
    class Oracle(torch.nn.Module):
        """Answers with the labels of the held-out composites, by the image's own pixels."""

        def __init__(self) -> None:
            super().__init__()
            scenes, batch = held_out_composites(FEW, CPU)
            self.crops, self.labels = scenes.center(batch.images), scenes.center(batch.labels)

        def logits(self, x: torch.Tensor) -> torch.Tensor:
            answers = torch.zeros(len(x), 64, 64, dtype=torch.long)
            for index, image in enumerate(x):
                same = (self.crops == image).flatten(1).all(dim=1)
                if same.any():
                    answers[index] = self.labels[same][0]
            return torch.nn.functional.one_hot(answers, 18).movedim(-1, 1).float()

    perfect = evaluate(Oracle(), FEW, CPU)
    assert perfect["miou"] == perfect["pixels"]["all"] == perfect["pixels"]["edges"] == 100
    assert perfect["kept"]["1"] < 20  # the moved crop is none that it knows
    model = make_model(get_study("dense").configs()["vit"]).eval()
    chance = evaluate(model, FEW, CPU)
    assert chance["miou"] < 10
    assert chance["pixels"]["all"] < 20


class ByPixel(torch.nn.Module):
    """Answers that follow the image exactly: the class is the sign of the pixel."""

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x, x], dim=1)


class Fixed(torch.nn.Module):
    """Answers that do not read the image: a border in the middle of every crop."""

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        left = (torch.arange(x.shape[-1]) < x.shape[-1] // 2).to(x).expand_as(x)
        return torch.cat([left, 1 - left], dim=1)


class Whole(torch.nn.Module):
    """Another class for the whole crop at every call after the first, without any border."""

    calls = 0

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        classes = torch.full((len(x), *x.shape[-2:]), int(self.calls > 1))
        return torch.nn.functional.one_hot(classes, 2).movedim(-1, 1).float()


def test_masks_that_follow_the_image_have_no_jitter_and_fixed_ones_that_of_the_shift() -> None:
    assert mask_jitter(ByPixel(), FEW, CPU) == {"1": 0, "2": 0, "4": 0, "8": 0}
    # A vertical border stays behind in two of the four directions.
    found = mask_jitter(Fixed(), FEW, CPU)
    assert list(found) == ["1", "2", "4", "8"]
    for pixels, distance in found.items():
        assert distance == pytest.approx(int(pixels) / 2, rel=0.02)
    few = dataclasses.replace(FEW, margin=2)
    assert list(mask_jitter(Fixed(), few, CPU)) == ["1", "2"]
    assert further(Fixed(), few, CPU, ("mask_jitter",)) == {
        "mask_jitter": mask_jitter(Fixed(), few, CPU)
    }
    with pytest.raises(ValueError, match=r"task: expected answers with a border .* none at 1 px"):
        mask_jitter(Whole(), FEW, CPU)


def short() -> Study:
    """The study in two steps, on few composites, of two variants."""
    study = get_study("dense")

    def variants():
        return {
            name: dataclasses.replace(
                study.variants()[name],
                data=FEW,
                optimizer=dataclasses.replace(
                    study.variants()[name].optimizer, steps=2, warmup_steps=1, batch_size=4
                ),
            )
            for name in ("vit", "haar_vit")
        }

    return dataclasses.replace(
        study, variants=variants, contrasts=study.contrasts[:1], timed_batch=2, seeds=(0, 1)
    )


def test_the_study_runs_is_timed_and_reported(tmp_path: Path) -> None:
    study = short()
    folder = StudyFolder(tmp_path / "dense", study.name)
    jobs = plan(study, folder, study.seeds)
    assert run_jobs(jobs, CPU, workers=1, threads=1) == []
    measure_latency(study, folder, CPU)
    again = make_model(jobs[0].folder.load_config())
    load_weights(jobs[0].folder.weights, again)
    summary = summarize(study, folder)
    assert summary.task == "segmentation"
    assert "top1" not in summary.metrics["vit"]
    assert summary.sensitivity["vit"] == {}
    page = write_report(study, tmp_path / "dense", record=tmp_path / "record").read_text()
    assert "Task <i>composites</i>" in page
    assert "mIoU, paired" in page
    assert "C-Cons" not in page
    assert "<b>border shift</b>: number of pixels" in page
    kept = {path.name for path in (tmp_path / "record").iterdir()}
    assert kept == {"summary.json", "pictures.json", "table.md"}
    table = (tmp_path / "record" / "table.md").read_text()
    assert table.startswith("| variant | mIoU, % | pixels right, % | right near borders, %")
    assert "| border shift at 1 px, px | border shift at 2 px, px |" in table
    held = json.loads((tmp_path / "record" / "summary.json").read_text())
    assert held["configs"]["vit"]["task"] == "segmentation"


def test_a_run_names_a_registered_task_and_its_options() -> None:
    run = get_study("dense").configs()["vit"]
    with pytest.raises(ValueError, match=r"task: expected one of .*'classification'"):
        dataclasses.replace(run, task="clasification")
    with pytest.raises(ValueError, match=r"task_options of task 'segmentation': expected one of"):
        dataclasses.replace(run, task_options={"smoothing": 0.1})


def test_configuration_of_before_there_were_task_options_is_read() -> None:
    """The records of older runs have the label smoothing among the optimiser's fields."""
    run = get_study("dense").configs()["vit"]
    old = json.loads(json.dumps(run.to_dict()))
    assert RunConfig.from_dict(old) == run
    assert old.pop("task_options")["label_smoothing"] == 0.1
    old["optimizer"]["label_smoothing"] = 0.1
    assert RunConfig.from_dict(old) == run


def test_a_study_has_one_task() -> None:
    study = get_study("dense")
    mixed = {**study.variants(), "classifier": get_study("backbones").variants()["vit"]}
    with pytest.raises(ValueError, match="variants: expected one task"):
        dataclasses.replace(study, variants=lambda: mixed).configs()
