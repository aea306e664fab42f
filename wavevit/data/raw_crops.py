"""Raw crops: 8-bit grey values of photographs, for exact likelihoods."""

from __future__ import annotations

from typing import Any

import torch

from wavevit.data.scenes import Scenes
from wavevit.data.sources import Source, register_source

__all__ = ["RawCrops"]


@register_source("crops_uint8")
class RawCrops(Source):
    """Crops of `Scenes` as bytes without normalisation: luminance, rounded to 0 … 255.

    A batch has ``"images"``, uint8, and ``"labels"``, the photograph that each is from. Lossless
    image formats and exact likelihoods can be compared on them.

    Args:
        split, crop_size, margin: see `Source`.
        max_short_side: photographs are reduced to at most this shorter side.
    """

    def __init__(
        self, split: str, crop_size: int = 64, margin: int = 0, max_short_side: int = 256
    ) -> None:
        super().__init__(split, crop_size, margin)
        self.scenes = Scenes(split, crop_size, margin, max_short_side=max_short_side)
        self.num_classes = len(self.scenes.classes)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        batch = self.scenes.draw(count, generator)
        return {"images": (batch.images * 255).round().to(torch.uint8), "labels": batch.labels}
