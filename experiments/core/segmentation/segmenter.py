"""The task `segmentation` as a model: images in, logits out."""

from __future__ import annotations

from torch import Tensor

from wavevit.models import Backbone, BackboneConfig
from wavevit.tasks import Segmentation

__all__ = ["Segmenter"]


class Segmenter(Segmentation):
    """A backbone with the light head of `wavevit.tasks.Segmentation`, called with images.

    Args:
        config: of the backbone; `num_classes` is of the pixels.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(Backbone(config), Segmentation.Options())

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Logits (B, classes, H, W) of images (B, C, H, W)."""
        return self.logits(x)
