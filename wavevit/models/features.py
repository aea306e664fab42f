"""`features_only`: a backbone that returns maps instead of logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from wavevit.models.backbone import Backbone

__all__ = ["FeatureBackbone", "FeatureInfo"]


class FeatureInfo(list):
    """The chosen entries of a backbone's `feature_info`, with timm's accessors."""

    def channels(self) -> list[int]:
        """Channels of each map."""
        return [entry["num_chs"] for entry in self]

    def reduction(self) -> list[int]:
        """Stride of each map in pixels."""
        return [entry["reduction"] for entry in self]

    def module_name(self) -> list[str]:
        """Module that each map comes out of."""
        return [entry["module"] for entry in self]


class FeatureBackbone(nn.Module):
    """Images to a list of maps (B, C_i, h_i, w_i), fine to coarse.

    Args:
        backbone: loses its head, and what lies behind the last chosen entry.
        out_indices: entries of the backbone's `feature_info`; all by default.
    """

    def __init__(self, backbone: Backbone, out_indices: int | Sequence[int] | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        chosen = backbone.feature_indices(out_indices)
        self.out_indices = backbone.prune_intermediate_layers(chosen, prune_norm=True)
        entries: list[dict[str, Any]] = [backbone.feature_info[i] for i in self.out_indices]
        self.feature_info = FeatureInfo(entries)
        self.symmetry = backbone.symmetry

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.backbone.forward_intermediates(
            x, indices=self.out_indices, intermediates_only=True
        )
