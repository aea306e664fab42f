"""Training and test data of studies on `wavevit.data.composites`."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.core.config import DataConfig
from wavevit.checks import fail
from wavevit.data import CompositeBatch, Scenes, composites

__all__ = ["CompositeBatch", "TrainingComposites", "composites", "held_out_composites"]


def held_out_composites(data: DataConfig, device: torch.device) -> tuple[Scenes, CompositeBatch]:
    """The same for every run of a study: as many crops as other studies test on, two to a
    composite, with their margin."""
    scenes = Scenes(data.held_out, data.crop_size, data.margin, max_short_side=data.max_short_side)
    batch = composites(scenes, data.test_crops // 2, torch.Generator().manual_seed(data.seed))
    return scenes, CompositeBatch(*(tensor.to(device) for tensor in batch))


class TrainingComposites:
    """Draws training composites; what is drawn follows from the seed alone."""

    def __init__(self, data: DataConfig, device: torch.device) -> None:
        if data.places or data.augmentation:
            given = f"places={data.places}, augmentation={data.augmentation}"
            fail("data", "crops from anywhere and no augmentation for composites", given)
        self.device = device
        self.scenes = Scenes(data.trained_on, data.crop_size, max_short_side=data.max_short_side)

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Images (count, 1, S, S) and labels (count, S, S); sets torch's global seed."""
        torch.manual_seed(seed)  # for whatever in the model draws
        batch = composites(self.scenes, count, torch.Generator().manual_seed(seed))
        return batch.images.to(self.device), batch.labels.to(self.device)
