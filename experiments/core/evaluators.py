"""What is measured on a trained task, by the task's name.

Classification and segmentation have measures of their own; every other task has those of
`experiments.core.task_evaluation`, from its own metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from experiments.core import evaluation, task_evaluation
from experiments.core.config import RunConfig
from experiments.core.segmentation import measures as segmentation
from wavevit.tasks import TASKS, Task

__all__ = ["Evaluator", "evaluator_of", "outcome"]


class Measure(Protocol):
    """Measures a trained task; returns plain data."""

    def __call__(
        self, task: Any, config: RunConfig, device: torch.device, measures: Sequence[str]
    ) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Evaluator:
    """Measures of one task.

    Attributes:
        evaluate: all of them, as plain data for ``result.json``.
        further: those beside the standard alone, by name.
        score: path in the result of the score that is shown when a run ends.
    """

    evaluate: Measure
    further: Measure
    score: tuple[str, ...]


def _of_network(function: Callable[..., dict[str, Any]]) -> Measure:
    """A measure of the task's network on crops."""

    def measure(
        task: Task, config: RunConfig, device: torch.device, measures: Sequence[str]
    ) -> dict[str, Any]:
        return function(task.network(), config.data, device, measures)

    return measure


_OWN = {
    "classification": Evaluator(
        _of_network(evaluation.evaluate), _of_network(evaluation.further), ("top1",)
    ),
    "segmentation": Evaluator(
        _of_network(segmentation.evaluate_segmenter),
        _of_network(segmentation.further),
        ("miou",),
    ),
}


def evaluator_of(name: str) -> Evaluator:
    """The measures of a task."""
    if name in _OWN:
        return _OWN[name]
    score = ("metrics", TASKS.get(name).score)
    return Evaluator(task_evaluation.evaluate_task, task_evaluation.further, score)


def outcome(name: str, result: dict[str, Any]) -> str:
    """The score of a finished run, for people."""
    value: Any = result
    for key in evaluator_of(name).score:
        value = value[key]
    return f"{TASKS.get(name).title}: {value:.4g}"
