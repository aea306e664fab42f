"""The plain ViT that studies on `scenes` start from."""

from __future__ import annotations

from wavevit.data.photographs import NAMES
from wavevit.models import BackboneConfig, make_stages

__all__ = ["small_vit"]


def small_vit() -> BackboneConfig:
    """Four blocks of 64 channels on patches of 8 pixels of grey 64-pixel crops: 15 MMAC."""
    return BackboneConfig(
        img_size=64,
        in_chans=1,
        num_classes=len(NAMES),
        patch_size=8,
        stages=make_stages(depths=[4], embed_dims=[64], num_heads=2),
    )
