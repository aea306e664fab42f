"""Plain ViT (Dosovitskiy et al. 2021): the baseline of every claim."""

from __future__ import annotations

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["vit"]


def vit(embed_dim: int, depth: int, num_heads: int, patch_size: int = 16) -> BackboneConfig:
    """A columnar ViT with class token and learned positions."""
    stages = make_stages(depths=[depth], embed_dims=[embed_dim], num_heads=num_heads)
    return BackboneConfig(stages=stages, patch_size=patch_size, pool="token")


@register_model
def vit_tiny_patch16() -> BackboneConfig:
    return vit(192, 12, 3)


@register_model
def vit_small_patch16() -> BackboneConfig:
    return vit(384, 12, 6)


@register_model
def vit_base_patch16() -> BackboneConfig:
    return vit(768, 12, 12)


@register_model
def test_vit() -> BackboneConfig:
    return vit(64, 2, 2)
