"""Columnar ViT on Haar-packet tokens: one field differs from `vit_*`."""

from __future__ import annotations

import dataclasses

from wavevit.models.config import BackboneConfig
from wavevit.models.registry import register_model
from wavevit.models.zoo.vit import vit

__all__: list[str] = []


def _haar_vit(embed_dim: int, depth: int, num_heads: int) -> BackboneConfig:
    return dataclasses.replace(vit(embed_dim, depth, num_heads), tokenizer="dwt")


@register_model
def haar_vit_tiny() -> BackboneConfig:
    return _haar_vit(192, 12, 3)


@register_model
def haar_vit_small() -> BackboneConfig:
    return _haar_vit(384, 12, 6)


@register_model
def haar_vit_base() -> BackboneConfig:
    return _haar_vit(768, 12, 12)


@register_model
def test_haar_vit() -> BackboneConfig:
    return _haar_vit(64, 2, 2)
