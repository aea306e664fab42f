"""Raw crops: 8-bit grey values of photographs, for exact likelihoods."""

from __future__ import annotations

from typing import Any

import torch

from wavevit.data.sources import SceneCrops, register_source

__all__ = ["RawCrops"]


@register_source("crops_uint8")
class RawCrops(SceneCrops):
    """Crops of `Scenes` as bytes without normalisation: luminance, rounded to 0 … 255.

    A batch has ``"images"``, uint8, and ``"labels"``, the photograph that each is from. Lossless
    image formats and exact likelihoods can be compared on them.

    Args:
        split, crop_size, margin: see `Source`.
        max_short_side: photographs are reduced to at most this shorter side.
        **photographs: options of a folder of photographs; see `SceneCrops`.
    """

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        batch = self.scenes.draw(count, generator)
        return {"images": (batch.images * 255).round().to(torch.uint8), "labels": batch.labels}
