"""Training batches of a run, by the seed of a step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from experiments.core.augmentation import TrainingCrops
from experiments.core.config import DataConfig, RunConfig
from wavevit.checks import check_at_least, fail
from wavevit.data import Source, create_source
from wavevit.data.sources import source_class
from wavevit.tasks import TASKS, sliced

__all__ = ["make_source", "on_device", "rank_slice", "source_name", "training_batches"]


def source_name(config: RunConfig) -> str:
    """Name of the data source of a run: its own choice, or the task's."""
    return config.data.source or TASKS.get(config.task).source


def make_source(config: RunConfig, split: str, margin: int) -> Source:
    """The data source of a run.

    Args:
        config: of the run.
        split: of the source.
        margin: pixels around each crop.
    """
    name, data = source_name(config), config.data
    options = dict(data.source_options)
    if "max_short_side" in inspect.signature(source_class(name)).parameters:
        options.setdefault("max_short_side", data.max_short_side)
    return create_source(name, split, data.crop_size, margin, **options)


def on_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on a device, those in lists included."""

    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        if isinstance(value, list):
            return [moved(item) for item in value]
        return value

    return {name: moved(value) for name, value in batch.items()}


def rank_slice(batch: Mapping[str, Any], rank: int, world: int) -> dict[str, Any]:
    """The examples of one rank: a contiguous part of the global batch, in the same order.

    All ranks draw the same global batch from (seed, step) and each takes its part. So the crops of
    a step are the same on any number of ranks, and the parts put together are the global batch.

    Args:
        batch: tensors (B, …) or lists of length B, by name.
        rank: of this process, from 0.
        world: number of processes.

    Raises:
        ValueError: a rank outside the world, or a batch that the ranks cannot share equally (the
            mean over ranks would not be the mean over examples).
    """
    check_at_least("world", world, 1)
    if not 0 <= rank < world:
        fail("rank", f"a number from 0 to {world - 1}", rank)
    sizes = {name: len(value) for name, value in batch.items()}
    for name, size in sizes.items():
        if size % world or size != next(iter(sizes.values())):
            expected = f"as many examples under each name, a multiple of {world} (ranks)"
            fail(f"batch[{name!r}]", expected, size)
    own = next(iter(sizes.values()), 0) // world
    return sliced(batch, rank * own, (rank + 1) * own)


def training_batches(
    config: RunConfig, device: torch.device
) -> Callable[[int, int], dict[str, Any]]:
    """What gives a batch on the device from a count and a seed; it sets torch's global seed.

    Raises:
        ValueError: places or an augmentation with another source than ``"scenes"``.
    """
    data: DataConfig = config.data
    if source_name(config) == "scenes":
        crops = TrainingCrops(data, device)

        def crop_batch(count: int, seed: int) -> dict[str, Any]:
            images, labels = crops.batch(count, seed)
            return {"images": images, "labels": labels}

        return crop_batch
    if data.places or data.augmentation:
        given = f"places={data.places}, augmentation={data.augmentation}"
        fail("data", f"no places and no augmentation for {source_name(config)!r}", given)
    source = make_source(config, data.trained_on, 0)

    def batch(count: int, seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)  # for whatever in the model draws
        windows = source.sample(count, torch.Generator().manual_seed(seed))
        return on_device(source.crop(windows), device)

    return batch
