"""Data sources of a run, with the crops and options of its configuration."""

from __future__ import annotations

import inspect
from typing import Any

from experiments.core.config import DataConfig, RunConfig
from wavevit.checks import fail
from wavevit.data import EpochSource, Scenes, Source, create_source
from wavevit.data.scenes import photograph_scenes
from wavevit.data.sources import source_class
from wavevit.tasks import TASKS

__all__ = ["check_repeats", "make_source", "scenes_of", "source_name", "source_of"]


def source_name(config: RunConfig) -> str:
    """Name of the data source of a run: its own choice, or the task's."""
    return config.data.source or TASKS.get(config.task).source


def check_repeats(config: RunConfig) -> None:
    """Refuses repeated augmentation (`DataConfig.repeats`) for a source that cannot repeat.

    Raises:
        ValueError: the source is a stream, or draws its examples without epochs.
    """
    if config.data.repeats == 1:
        return
    name = source_name(config)
    kind = source_class(name)
    epochs = kind if issubclass(kind, EpochSource) else None
    if epochs is not None and epochs.repeatable:
        return
    reason = "draws its examples without epochs"
    if epochs is not None:
        reason = "is a stream" if epochs.streamed else "cannot repeat a picture in an epoch"
    expected = f"1 (the source {name!r} {reason}; on the command line: --repeats 1)"
    fail("data.repeats", expected, config.data.repeats)


def make_source(config: RunConfig, split: str, margin: int) -> Source:
    """The data source of a run.

    Args:
        config: of the run.
        split: of the source.
        margin: pixels around each crop.
    """
    return source_of(config.data, source_name(config), split, margin)


def source_of(data: DataConfig, name: str, split: str, margin: int) -> Source:
    """A data source by name, with the crops and options of a configuration.

    Args:
        data: says which crops, and has the options.
        name: of the source; see `source_name`.
        split: of the source.
        margin: pixels around each crop.
    """
    options = dict(data.source_options)
    if "max_short_side" in inspect.signature(source_class(name)).parameters:
        options.setdefault("max_short_side", data.max_short_side)
    return create_source(name, split, data.crop_size, margin, **options)


def scenes_of(data: DataConfig, split: str, margin: int = 0, **changes: Any) -> Scenes:
    """The scenes of a run's photographs: the bundled ones, or those of its source's options.

    Args:
        data: says which crops, and has the options.
        split: of the scenes.
        margin: pixels around each crop.
        **changes: other arguments of `Scenes`, in place of the configuration's.
    """
    fields = {"crop_size": data.crop_size, "max_short_side": data.max_short_side}
    options = fields | dict(data.source_options) | changes
    return photograph_scenes(split, margin=margin, **options)
