"""A backbone with a light head that gives every pixel a class, the same for every family."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.models import Backbone, BackboneConfig

__all__ = ["Segmenter"]

_WIDTH = 32  # channels of the fused map
_STRIDE = 4  # of the fused map


class Segmenter(nn.Module):
    """Maps of a backbone, brought to stride 4, added, and classified pixel by pixel.

    The deepest map of each stride is projected to 32 channels and enlarged bilinearly, as in
    SegFormer's head. The finest map of a backbone whose first stride is larger than 4 comes to
    stride 4 by a learned pixel shuffle instead: each token says for itself what lies where within
    its patch, so a ViT's grid is no limit that the head has set.

    Args:
        config: of the backbone; `num_classes` is of the pixels.

    Source:
        Xie et al. 2021, "SegFormer" (head of projections that are enlarged and fused);
        Shi et al. 2016 (pixel shuffle).
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config)
        self.backbone.reset_classifier(0)
        # A later entry takes the place of an earlier one of the same stride.
        deepest = {int(e["reduction"]): i for i, e in enumerate(self.backbone.feature_info)}
        self.indices = [deepest[stride] for stride in sorted(deepest)]
        self.fine = max(min(deepest) // _STRIDE, 1)
        channels = [int(self.backbone.feature_info[i]["num_chs"]) for i in self.indices]
        widths = [_WIDTH * self.fine**2, *([_WIDTH] * (len(channels) - 1))]
        self.project = nn.ModuleList(
            nn.Conv2d(own, width, 1) for own, width in zip(channels, widths, strict=True)
        )
        self.norm = nn.GroupNorm(1, _WIDTH)
        self.classify = nn.Conv2d(_WIDTH, config.num_classes, 1)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The backbone's deepest map of each stride, finest first."""
        maps: list[Tensor] = self.backbone.forward_intermediates(
            x, indices=self.indices, norm=True, intermediates_only=True
        )
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes, H, W) of images (B, C, H, W)."""
        first, *others = (
            project(item) for project, item in zip(self.project, self.maps(x), strict=True)
        )
        fused = F.pixel_shuffle(first, self.fine)
        for item in others:
            fused = fused + _enlarged(item, fused.shape[-2:])
        return _enlarged(self.classify(F.gelu(self.norm(fused))), x.shape[-2:])

    def no_weight_decay(self) -> AbstractSet[str]:
        """Names of the backbone's parameters that have none."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()}


def _enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, list(size), mode="bilinear", align_corners=False)
