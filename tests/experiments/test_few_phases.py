"""Measurement `few_phases` and claim C21, in cases whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor, nn

import wavevit
from experiments.claims.c21_few_phases import CLAIM
from experiments.core.config import changed
from experiments.core.segmentation.measures import Logits
from experiments.measurements import few_phases
from experiments.measurements.few_phases import (
    CONTROL,
    PHASES,
    SUBJECTS,
    classified,
    configs,
    kept_pixels,
    phases_of,
    right_for_all,
    same_class,
    segmented,
)
from wavevit.alignment import GroupAverage
from wavevit.measure import adversarial_shift_accuracy, shift_consistency
from wavevit.models import Backbone
from wavevit.tasks import Segmentation, create_task

RECORD = "few_phases/measurement.json"


def windows(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 1, 96, 96, generator=generator)
    return images, torch.arange(count) % 3


class Blocks(nn.Module):
    """Means of blocks of 16 pixels in three directions: classes that some shifts change."""

    def forward(self, x: Tensor) -> Tensor:
        means = nn.functional.avg_pool2d(x, 16).flatten(1)
        generator = torch.Generator().manual_seed(1)
        return means @ torch.randn(16, 3, generator=generator)


def test_consistency_and_worst_case_are_those_of_the_library() -> None:
    images, labels = windows(24)
    labels = Blocks()(images[..., 16:80, 16:80]).argmax(dim=1)
    share = float(same_class(Blocks(), images, 32).mean())
    how: dict[str, Any] = {"kind": "crop", "crop_size": 64}
    found = shift_consistency(Blocks(), images, pairs_per_image=8, **how)
    assert 100 * share == pytest.approx(found.percent)
    assert 0.2 < share < 1
    worst = adversarial_shift_accuracy(Blocks(), images, labels, 8, step=2, **how)
    right = right_for_all(Blocks(), images, labels, 32)
    assert 100 * float(right.double().mean()) == pytest.approx(worst.percent)
    assert 0 < int(right.sum()) < len(right)


def test_subjects_cost_what_they_declare() -> None:
    for name, subject in SUBJECTS.items():
        if not subject.options:
            continue
        aligned = wavevit.align(nn.Conv2d(1, 2, 8, 8), **subject.options)
        calls = 1
        if isinstance(aligned.alignment, GroupAverage):
            calls = int(aligned.alignment.calls(torch.zeros(1, 1, 64, 64))[0])
        assert calls == subject.calls, name
    assert set(configs()) >= {subject.variant for subject in SUBJECTS.values()}


def test_one_phase_measures_the_model_itself() -> None:
    """On random weights: phases reduce the sensitivity, and shifts by whole patches hardly do."""
    torch.manual_seed(0)
    _, labels = windows(3)
    coarse = torch.randn(3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    images = nn.functional.interpolate(coarse, (96, 96), mode="bicubic")
    model = Backbone(configs()["vit"].model).eval()
    found = classified(model, SUBJECTS["1 phase"], images, labels)
    assert all(len(values) == 3 for values in found.values())
    few, control = (
        classified(model, SUBJECTS[name], images, labels) for name in ("4 phases", CONTROL)
    )
    assert sum(few["sensitivity"]) < 0.8 * sum(found["sensitivity"])
    assert sum(control["sensitivity"]) > 0.8 * sum(found["sensitivity"])


def test_pixels_are_compared_where_they_are() -> None:
    """A classifier of single pixels keeps all of them; one of a fixed place, some."""
    images, _ = windows(2)
    point, fixed = nn.Conv2d(1, 2, 1), nn.Sequential(nn.Conv2d(1, 2, 3, 2), nn.Upsample((64, 64)))
    assert kept_pixels(point, images, 8).tolist() == [1.0, 1.0]
    assert 0.3 < float(kept_pixels(fixed, images, 8).mean()) < 0.99
    dense = configs()["dense vit"]
    task = create_task(dense.task, dense.model, dense.task_options).eval()
    assert isinstance(task, Segmentation)
    with torch.no_grad():
        answers = Logits(task)(images[..., 16:80, 16:80]).argmax(dim=1)
    truth = nn.functional.pad(answers, (16, 16, 16, 16))
    assert segmented(task, SUBJECTS["1 phase"], images, truth)["pixels"] == [100.0, 100.0]
    blurred = segmented(task, SUBJECTS["blur"], images, truth)["pixels"]
    assert all(0 < share < 100 for share in blurred)


def record(few: float) -> dict[str, Any]:
    """Gains of all phases are 1 (times the direction), those of 4 phases are `few` of that."""
    gains = dict.fromkeys(SUBJECTS, 0.0) | {phases_of(k): few for k in PHASES}
    gains |= {"1 phase": 0.0, "64 phases": 1.0}
    units = {"sensitivity": -0.1, "consistency": 10.0, "worst": 10.0, "kept": 2.0}
    start = {"top1": 60.0, "pixels": 60.0, "sensitivity": 0.2, "consistency": 70.0}

    def lists(keys: tuple[str, ...], gain: float) -> dict[str, Any]:
        return {
            key: [
                start.get(key, 30.0) + units.get(key, 0.0) * gain + 0.001 * ((7 * i) % 5) * gain
                for i in range(18)
            ]
            for key in keys
        }

    costs = {name: {"calls": s.calls, "macs": 1e6 * s.calls} for name, s in SUBJECTS.items()}
    classes = ("top1", "sensitivity", "consistency", "worst")
    return {
        "crops": 72,
        "classification": {n: costs[n] | lists(classes, gain) for n, gain in gains.items()},
        "segmentation": {n: costs[n] | lists(("pixels", "kept"), g) for n, g in gains.items()},
    }


@pytest.mark.parametrize(("few", "word"), [(0.8, "supported"), (0.2, "refuted")])
def test_claim_asks_for_more_than_half_of_the_gain(few: float, word: str) -> None:
    records = {RECORD: record(few)}
    finding = CLAIM.find(records)
    assert finding.verdict.word == word
    assert sum(bool(effect.predicted) for effect in finding.effects) == 4
    assert "`64 phases` | 64" in finding.body[1]
    assert CLAIM.draw is not None
    figure = CLAIM.draw(records, finding)
    assert len(figure.axes) == 4
    plt.close(figure)


@pytest.mark.nightly
def test_record_of_models_trained_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One training step each; what is trained already is kept."""
    short = {name: changed(run, {"optimizer.steps": 1}) for name, run in configs().items()}
    few = {name: SUBJECTS[name] for name in ("1 phase", "4 phases", "dtcwt")}
    monkeypatch.setattr(few_phases, "configs", lambda: short)
    monkeypatch.setattr(few_phases, "SUBJECTS", few)
    monkeypatch.setattr(few_phases, "SEEDS", (0,))
    found = few_phases.measure(tmp_path, crops=1)
    weights = sorted(tmp_path.glob("few_phases/*/seed0/weights.safetensors"))
    assert len(weights) == 4
    before = [file.stat().st_mtime_ns for file in weights]
    for part, keys, count in (
        ("classification", ("top1", "sensitivity", "consistency", "worst"), 18),
        ("segmentation", ("pixels", "kept"), 9),
    ):
        assert set(found[part]) == set(few)
        for own in found[part].values():
            assert all(len(own[key]) == count for key in keys)
        assert found[part]["4 phases"]["macs"] == 4 * found[part]["1 phase"]["macs"]
    assert few_phases.measure(tmp_path, crops=1) == found
    assert [file.stat().st_mtime_ns for file in weights] == before
