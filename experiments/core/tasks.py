"""What a run learns: its model, its crops and what is measured on it, by the name of the task.

The loss is the cross-entropy of every task: over images (B, classes), or pixels (B, classes, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from experiments.core import evaluation
from experiments.core.augmentation import TrainingCrops
from experiments.core.config import DataConfig, RunConfig
from experiments.core.segmentation import measures
from experiments.core.segmentation.composites import TrainingComposites
from experiments.core.segmentation.segmenter import Segmenter
from wavevit.models import Backbone, BackboneConfig

__all__ = ["TASKS", "Batches", "Model", "Task", "make_model"]

Model = Backbone | Segmenter


class Batches(Protocol):
    """Training data whose every batch follows from a seed."""

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Images and labels on the device."""
        ...


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        model: from the backbone's configuration.
        batches: from the crops' configuration and a device.
        evaluate: from a trained model, the crops' configuration, a device and names of further
            measures: plain data.
        further: the same of the further measures alone.
        score: the key of `evaluate`'s result that is told when a run ends, in %.
        title: of it, for people.
    """

    model: Callable[[BackboneConfig], Model]
    batches: Callable[[DataConfig, torch.device], Batches]
    evaluate: Callable[[Any, DataConfig, torch.device, Sequence[str]], dict[str, Any]]
    further: Callable[[Any, DataConfig, torch.device, Sequence[str]], dict[str, Any]]
    score: str
    title: str


TASKS: dict[str, Task] = {
    "classification": Task(
        Backbone, TrainingCrops, evaluation.evaluate, evaluation.further, "top1", "top-1"
    ),
    "segmentation": Task(
        Segmenter, TrainingComposites, measures.evaluate_segmenter, measures.further, "miou", "mIoU"
    ),
}


def make_model(config: RunConfig) -> Model:
    """The model of a run's task, with the weights of its seed."""
    torch.manual_seed(config.seed)
    return TASKS[config.task].model(config.model)
