"""ViT with tokens where the detail is: patches of 16, 32, 64 and 128 pixels.

One field differs from `vit_*`: the tokenizer. The budget is half of the tokens of the uniform grid.
"""

from __future__ import annotations

import dataclasses

from wavevit.models.config import BackboneConfig
from wavevit.models.registry import register_model
from wavevit.models.zoo.vit import vit

__all__: list[str] = []


def _adaptive_vit(embed_dim: int, depth: int, num_heads: int, patch: int = 16) -> BackboneConfig:
    return dataclasses.replace(vit(embed_dim, depth, num_heads, patch), tokenizer="adaptive")


@register_model
def adaptive_vit_tiny() -> BackboneConfig:
    return _adaptive_vit(192, 12, 3)


@register_model
def adaptive_vit_small() -> BackboneConfig:
    return _adaptive_vit(384, 12, 6)


@register_model
def test_adaptive_vit() -> BackboneConfig:
    return _adaptive_vit(64, 2, 2, patch=8)
