"""The held-out crops, and figures gathered by the photograph that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from wavevit.data import SceneBatch, Scenes

CROP, MARGIN = 64, 16


def photographs(crops: int, seed: int = 30_000) -> tuple[Scenes, SceneBatch]:
    """The same number of crops of each test half, in windows of `CROP` + 2 `MARGIN` pixels."""
    return crops_of("test", crops, seed, MARGIN)


def crops_of(split: str, crops: int, seed: int, margin: int = 0) -> tuple[Scenes, SceneBatch]:
    """The same number of crops of each photograph's part in a split."""
    scenes = Scenes(split, CROP, margin)
    count = crops * len(scenes.classes)
    return scenes, scenes.sample(count, torch.Generator().manual_seed(seed))


def by_photograph(values: Tensor, labels: Tensor) -> list[float]:
    """Mean of (N,) values over the crops of each photograph, in the order of the classes."""
    return [float(values[labels == label].double().mean()) for label in labels.unique()]


def mean_over(runs: Sequence[Sequence[float]]) -> list[float]:
    """Mean over seeds of lists by photograph."""
    return [fmean(values) for values in zip(*runs, strict=True)]
