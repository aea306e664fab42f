"""The time of a study's variants, interleaved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from experiments.core.batches import on_device
from experiments.core.config import RunConfig
from experiments.core.folder import StudyFolder
from experiments.core.records import environment, write_json
from experiments.core.segmentation.measures import Logits
from experiments.core.task_evaluation import TaskLoss, held_out_windows
from experiments.core.training import make_task
from wavevit.measure import latency_ratios
from wavevit.tasks import Segmentation

if TYPE_CHECKING:
    from experiments.core.study import Study


def _timed(config: RunConfig, batch: dict[str, Any], device: torch.device) -> nn.Module:
    """The network of a task that answers from images alone, else the task's loss."""
    task = make_task(config).to(device).eval()
    if isinstance(task, Segmentation):
        return Logits(task)
    network = task.network()
    return TaskLoss(task, batch) if network is task else network


def measure_latency(study: Study, folder: StudyFolder, device: torch.device) -> None:
    """Writes the times of all variants (`variant_times`) when nothing else of the study runs."""
    write_json(folder.latency, variant_times(study, device))


def variant_times(study: Study, device: torch.device) -> dict[str, Any]:
    """Times of all variants as multiples of the baseline's, interleaved in one process.

    Weights are random: they do not matter to the time.
    """
    configs, baseline = study.configs(), study.baseline
    config = configs[baseline]
    # Equal models are timed once.
    first = {(run.model, run.task_options): name for name, run in reversed(configs.items())}
    source, windows = held_out_windows(config, study.timed_batch)
    batch = on_device(source.crop(windows), device)
    crops = batch["images"]
    models = {name: _timed(configs[name], batch, device) for name in first.values()}
    threads = torch.get_num_threads()
    reference = first[config.model, config.task_options]
    measured = latency_ratios(models, crops, reference, rounds=30, progress=True)
    ratios = {name: measured[first[run.model, run.task_options]] for name, run in configs.items()}
    return {
        "reference": baseline,
        "ratios": ratios,
        "batch": list(crops.shape),
        "rounds": 30,
        "environment": environment(device, threads),
    }
