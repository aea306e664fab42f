"""`composites`: two photographs in one image, and the task is to tell which pixel is of which.

A composite shows crops of two `scenes`, each normalised by itself, on two sides of a random smooth
border. The border is blended, over about two pixels where the random heights are as steep as usual
and more where they are flat, so that no hard edge gives it away: what lies on either side has to be
recognised.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.config import DataConfig
from wavevit.checks import fail
from wavevit.data import Scenes

__all__ = ["CompositeBatch", "TrainingComposites", "composites", "held_out_composites"]

_CELL = 16  # pixels between the random heights whose level line is the border
_SHARPNESS = 32.0  # of the blend: from 10 to 90 % within about 2 pixels of a usual slope


class CompositeBatch(NamedTuple):
    """Images with the class of every pixel.

    Attributes:
        images: (N, 1, S, S).
        labels: (N, S, S), index into `Scenes.classes`.
    """

    images: Tensor
    labels: Tensor


def composites(scenes: Scenes, count: int, generator: torch.Generator) -> CompositeBatch:
    """Draws composites of windows of `scenes`; half of each window belongs to either photograph.

    Args:
        scenes: where crops come from, with the margin that the composites shall have. The number
            of classes is even: the crops of an epoch pair up without a photograph meeting itself.
        count: number of composites.
        generator: its state alone decides what is drawn.

    Raises:
        ValueError: an odd number of classes.
    """
    if len(scenes.classes) % 2:
        fail("scenes.classes", "an even number, to pair them up", len(scenes.classes))
    batch = scenes.sample(2 * count, generator)
    side = scenes.window
    cells = max(side // _CELL, 2)
    noise = torch.randn(count, 1, cells, cells, generator=generator)
    height = F.interpolate(noise, (side, side), mode="bicubic", align_corners=False)
    height = height - height.flatten(1).median(dim=1).values[:, None, None, None]
    share = torch.sigmoid(_SHARPNESS * height)
    first, second = batch.images[0::2], batch.images[1::2]
    images = share * first + (1 - share) * second
    inside = height[:, 0] > 0
    of_first, of_second = (batch.labels[i::2, None, None].expand_as(inside) for i in (0, 1))
    return CompositeBatch(images, torch.where(inside, of_first, of_second))


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
