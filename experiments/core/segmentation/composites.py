"""Held-out composites of a study."""

from __future__ import annotations

import torch

from experiments.core.config import DataConfig
from experiments.core.sources import source_of
from wavevit.data import CompositeBatch, Composites, Scenes, composites

__all__ = ["held_out_composites"]


def held_out_composites(data: DataConfig, device: torch.device) -> tuple[Scenes, CompositeBatch]:
    """The same for every run of a study: as many crops as other studies test on, two to a
    composite, with their margin."""
    source = source_of(data, "composites", data.held_out, data.margin)
    assert isinstance(source, Composites)
    scenes = source.scenes
    batch = composites(scenes, data.test_crops // 2, torch.Generator().manual_seed(data.seed))
    return scenes, CompositeBatch(*(tensor.to(device) for tensor in batch))
