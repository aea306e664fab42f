"""Held-out composites of a study."""

from __future__ import annotations

import torch

from experiments.core.config import DataConfig
from wavevit.data import CompositeBatch, Scenes, composites

__all__ = ["held_out_composites"]


def held_out_composites(data: DataConfig, device: torch.device) -> tuple[Scenes, CompositeBatch]:
    """The same for every run of a study: as many crops as other studies test on, two to a
    composite, with their margin."""
    scenes = Scenes(data.held_out, data.crop_size, data.margin, max_short_side=data.max_short_side)
    batch = composites(scenes, data.test_crops // 2, torch.Generator().manual_seed(data.seed))
    return scenes, CompositeBatch(*(tensor.to(device) for tensor in batch))
