"""Held-out examples of a run, each as a crop and as the crop one pixel further right."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.core.batches import on_device
from experiments.core.config import RunConfig
from experiments.core.task_evaluation import measured_windows
from wavevit.tasks import sliced

_CPU = torch.device("cpu")
_CONTRASTS = 2.5  # of a normalised crop, from its mean to black and to white


class Examples:
    """The first of the windows on which a study's runs are measured.

    Args:
        source: of the windows.
        windows: of the source, all of them.
        margin: of each window in pixels.

    Attributes:
        source: as given.
        shift: of the moved crops, pixels down and right; (0, 0) for windows without a margin.
    """

    def __init__(self, source: Any, windows: dict[str, Any], margin: int) -> None:
        self.source, self._windows = source, windows
        self.shift = (0, min(1, margin))

    def crops(self, start: int, stop: int, moved: bool = False) -> dict[str, Any]:
        """A batch of the windows from `start` to before `stop`, as crops."""
        some = sliced(self._windows, start, stop)
        batch = self.source.crop(some, self.shift if moved else (0, 0))
        found: dict[str, Any] = on_device(batch, _CPU)
        return found


def held_out_examples(config: RunConfig) -> Examples:
    """The windows that `config`'s run is measured on, each once, as in the study's table."""
    source, windows = measured_windows(config)
    return Examples(source, windows, config.data.margin)


def grey_levels(images: Tensor) -> np.ndarray:
    """Images (N, C, H, W) as grey levels (N, H, W), uint8.

    Bytes stay as they are; numbers are those of a normalised crop, with one scale for all.
    """
    grey = images.detach().double().mean(1)
    if images.dtype != torch.uint8:
        grey = 127.5 * (1 + grey / _CONTRASTS)
    levels: np.ndarray = grey.round().clamp(0, 255).to(torch.uint8).numpy()
    return levels
