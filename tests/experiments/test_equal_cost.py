"""Studies of tasks compare backbones of equal cost: the head, inputs and tokens are counted."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from experiments.core.batches import on_device
from experiments.core.config import RunConfig
from experiments.core.task_evaluation import TaskLoss, measured_windows
from experiments.core.training import make_task
from experiments.studies import get_study
from experiments.studies.backbones import OTHERS
from wavevit.measure import cost
from wavevit.tasks import sliced

STUDIES = (
    "autoregressive",
    "captions",
    "clip",
    "dense",
    "detection",
    "diffusion",
    "masked",
    "places",
)


def _example(run: RunConfig) -> dict[str, torch.Tensor]:
    data = dataclasses.replace(run.data, test_crops=2, measured_crops=2)
    source, windows = measured_windows(dataclasses.replace(run, data=data))
    return on_device(source.crop(sliced(windows, 0, 1)), torch.device("cpu"))


@pytest.mark.parametrize("name", STUDIES)
def test_backbones_of_a_study_cost_what_the_plain_vit_costs(name: str) -> None:
    """Within 5 %, of the loss of one example; of their baseline, a plain ViT in all studies."""
    runs = get_study(name).configs()
    one = _example(runs["vit"])

    def macs(run: RunConfig) -> float:
        return cost(TaskLoss(make_task(run).eval(), one), one["images"]).macs

    baselines = {one.variant: one.baseline for one in get_study(name).contrasts}
    others = {
        key: macs(runs[key]) / macs(runs[baselines[key]])
        for key in (*OTHERS, "pvt_v2")
        if key in runs
    }
    assert len(others) >= len(OTHERS) - 1
    assert all(abs(ratio - 1) <= 0.05 for ratio in others.values()), others
