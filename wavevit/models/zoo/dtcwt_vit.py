"""Columnar ViT on dual-tree magnitudes: one field differs from `vit_*`, at about its cost.

Trained small models with these tokens were more accurate and more robust to crop shifts than with
patches (docs/axes/tokenizers.md).
"""

from __future__ import annotations

import dataclasses

from wavevit.models.config import BackboneConfig
from wavevit.models.registry import register_model
from wavevit.models.zoo.vit import vit

__all__: list[str] = []


def _dtcwt_vit(embed_dim: int, depth: int, num_heads: int) -> BackboneConfig:
    return dataclasses.replace(vit(embed_dim, depth, num_heads), tokenizer="dtcwt")


@register_model
def dtcwt_vit_tiny() -> BackboneConfig:
    return _dtcwt_vit(192, 12, 3)


@register_model
def dtcwt_vit_small() -> BackboneConfig:
    return _dtcwt_vit(384, 12, 6)


@register_model
def dtcwt_vit_base() -> BackboneConfig:
    return _dtcwt_vit(768, 12, 12)


@register_model
def test_dtcwt_vit() -> BackboneConfig:
    return _dtcwt_vit(64, 2, 2)
