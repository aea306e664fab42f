"""The time of a study's variants, interleaved."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from experiments.core.evaluation import held_out
from experiments.core.folder import StudyFolder
from experiments.core.records import environment, write_json
from experiments.core.training import make_model
from wavevit.measure import latency_ratios

if TYPE_CHECKING:
    from experiments.core.study import Study


def measure_latency(study: Study, folder: StudyFolder, device: torch.device) -> None:
    """Times all variants interleaved in one process and writes the ratios.

    Runs when nothing else of the study does; weights do not matter to the time.
    """
    configs, baseline = study.configs(), study.baseline
    config = configs[baseline]
    data = dataclasses.replace(config.data, test_crops=study.timed_batch)
    scenes, batch = held_out(data, device)
    first = {run.model: name for name, run in reversed(configs.items())}  # equal models, one time
    models = {name: make_model(configs[name]).to(device).eval() for name in first.values()}
    threads = torch.get_num_threads()
    crops = scenes.center(batch.images)
    measured = latency_ratios(models, crops, first[config.model], rounds=30)
    ratios = {name: measured[first[run.model]] for name, run in configs.items()}
    write_json(
        folder.latency,
        {
            "reference": baseline,
            "ratios": ratios,
            "batch": list(crops.shape),
            "rounds": 30,
            "environment": environment(device, threads),
        },
    )
