"""`composites`: two photographs in one image; the task is to tell which pixel is of which.

A composite shows crops of two `scenes`, each normalised by itself, on two sides of a random smooth
border. The border is blended, over about two pixels where the random heights are as steep as usual
and more where they are flat. So no hard edge shows the border: a model has to recognise what lies
on either side.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, fail
from wavevit.data.scenes import Scenes
from wavevit.data.sources import SceneCrops, register_source

__all__ = ["CompositeBatch", "Composites", "composites"]

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
        scenes: crops come from it, with its margin. The number of classes is even, so that the
            crops of an epoch form pairs of different photographs.
        count: number of composites.
        generator: its state alone decides what is drawn.

    Raises:
        ValueError: an odd number of classes.
    """
    if not isinstance(scenes, Scenes):
        fail("scenes", "wavevit.data.Scenes", type(scenes).__name__)
    if len(scenes.classes) % 2:
        fail("scenes.classes", "an even number, to pair them up", len(scenes.classes))
    check_at_least("count", count, 1)
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


@register_source("composites")
class Composites(SceneCrops):
    """`composites` as a data source: ``"labels"`` (B, S, S), the photograph of each pixel.

    Args:
        split, crop_size, margin: see `Source`.
        max_short_side: photographs are reduced to at most this shorter side.
        **photographs: options of a folder of photographs; see `SceneCrops`. Of an odd number of
            photographs the last by name is left out.
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        max_short_side: int = 256,
        **photographs: Any,
    ) -> None:
        super().__init__(split, crop_size, margin, max_short_side, **photographs)
        even = len(self.classes) // 2 * 2
        self.classes, self.num_classes = self.classes[:even], even
        self.scenes = dataclasses.replace(self.scenes, classes=self.classes)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        batch = composites(self.scenes, count, generator)
        return {"images": batch.images, "labels": batch.labels}

    def crop(self, batch: dict[str, Any], shift: tuple[int, int] = (0, 0)) -> dict[str, Any]:
        return {**super().crop(batch, shift), "labels": self.cut(batch["labels"], shift)}
