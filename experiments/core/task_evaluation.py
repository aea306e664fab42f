"""Measures of a trained task on held-out crops, for any task: metrics, shifts, cost."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.batches import make_source, on_device
from experiments.core.config import RunConfig
from experiments.core.crop_shifts import DIRECTIONS, SHIFTS
from wavevit.checks import fail
from wavevit.measure import cost
from wavevit.tasks import Task, joined, sliced

__all__ = [
    "TaskLoss",
    "each_once",
    "evaluate",
    "further",
    "held_out_windows",
    "measured_windows",
]

_BATCH = 64


class TaskLoss(nn.Module):
    """A task as a module from images to its loss, for measures of cost and time.

    Args:
        task: the task.
        batch: what the loss reads beside the images, of as many examples.
    """

    def __init__(self, task: Task, batch: dict[str, Any]) -> None:
        super().__init__()
        self.task, self.batch = task, batch

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to the loss; what it draws is the same at each call."""
        generator = torch.Generator().manual_seed(0)
        return self.task.loss({**self.batch, "images": images}, generator).total


def held_out_windows(config: RunConfig, count: int) -> tuple[Any, dict[str, Any]]:
    """The source of a run's held-out windows, and so many of them: the same for every run."""
    source = make_source(config, config.data.held_out, config.data.margin)
    return source, source.sample(count, torch.Generator().manual_seed(config.data.seed))


def measured_windows(config: RunConfig) -> tuple[Any, dict[str, Any]]:
    """The source and the windows that a run is measured on, each of them once."""
    source, windows = held_out_windows(config, config.data.test_crops)
    return source, each_once(windows)


def each_once(examples: Mapping[str, Any]) -> dict[str, Any]:
    """Examples without repeats, the first of each kept, in their order.

    A source may draw one window twice, where it has few. A model finds such a window among others
    by its repeat, whatever it has learned.

    Args:
        examples: tensors (N, …) or lists of length N, by name; two are the same where all of their
            entries are.
    """
    seen: set[tuple[Any, ...]] = set()
    kept: list[int] = []
    for index, key in enumerate(zip(*(map(_key, v) for v in examples.values()), strict=True)):
        if key not in seen:
            seen.add(key)
            kept.append(index)
    return {
        name: value[torch.tensor(kept)] if isinstance(value, Tensor) else [value[i] for i in kept]
        for name, value in examples.items()
    }


def _key(value: Any) -> Any:
    """What two equal entries have in common."""
    if isinstance(value, Tensor):
        content = value.contiguous().numpy().tobytes()
        return tuple(value.shape), hashlib.sha256(content).digest()
    return tuple(map(_key, value)) if isinstance(value, list | tuple) else value


@torch.no_grad()
def evaluate(
    task: Task, config: RunConfig, device: torch.device, measures: Sequence[str] = ()
) -> dict[str, Any]:
    """All measures of a trained task on held-out crops, each of them once (`each_once`).

    Returns:
        Plain data, ready for JSON: ``metrics`` by name (`Task.summarize`), without those that the
        held-out crops do not define, which are NaN; ``shifts``: by name of
        what `Task.compare` gives and by pixels of crop shift, the mean over examples and the four
        directions; ``cost`` of one example's loss.

    Raises:
        ValueError: `measures` names any; there are no further ones.
    """
    others = further(task, config, device, measures)
    task.eval()
    source, windows = measured_windows(config)
    count, parts = len(windows["images"]), []
    for start in range(0, count, _BATCH):
        batch = on_device(source.crop(sliced(windows, start, start + _BATCH)), device)
        parts.append(task.evaluate(batch, torch.Generator().manual_seed(start)))
    few = sliced(windows, 0, config.data.measured_crops)
    one = on_device(source.crop(sliced(windows, 0, 1)), device)
    return {
        "metrics": {
            name: value
            for name, value in task.summarize(joined(parts)).items()
            if math.isfinite(value)
        },
        "shifts": _shifts(task, source, few, config, device),
        "test_crops": count,
        "cost": asdict(cost(TaskLoss(task, one), one["images"])),
        **others,
    }


def _shifts(
    task: Task, source: Any, windows: dict[str, Any], config: RunConfig, device: torch.device
) -> dict[str, dict[str, float]]:
    """Means of `Task.compare` by name and shift; examples without a value are left out."""
    found: dict[str, dict[str, list[Tensor]]] = {}
    count = len(windows["images"])
    for start in range(0, count, _BATCH):
        part = sliced(windows, start, start + _BATCH)
        still = task.predict(on_device(source.crop(part), device))
        for step in (step for step in SHIFTS if step <= config.data.margin):
            for down, right in DIRECTIONS:
                shift = (step * down, step * right)
                moved = task.predict(on_device(source.crop(part, shift), device))
                for name, value in task.compare(still, moved, shift).items():
                    found.setdefault(name, {}).setdefault(str(step), []).append(value)
    means: dict[str, dict[str, float]] = {}
    for name, own in found.items():
        for pixels, parts in own.items():
            values = torch.cat(parts)
            known = values[~values.isnan()]
            if known.numel():
                means.setdefault(name, {})[pixels] = float(known.double().mean())
    return means


def further(
    task: Task, config: RunConfig, device: torch.device, measures: Sequence[str]
) -> dict[str, Any]:
    """What is measured beside the standard: nothing.

    Raises:
        ValueError: `measures` names any.
    """
    if measures:
        fail("measures", f"no additional measures for {config.task}", list(measures))
    return {}
