"""PVT v2 (Wang et al. 2022): overlapping patches, fewer keys and values, convolutional MLPs."""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["pvt_v2"]


def pvt_v2(depths: Sequence[int], embed_dims: Sequence[int]) -> BackboneConfig:
    """A PVT v2 of four stages."""
    stages = make_stages(
        depths=depths,
        embed_dims=embed_dims,
        num_heads=(1, 2, 5, 8),
        mixer="spatial_reduction",
        reduction=(8, 4, 2, 1),
        downsample="conv",
        mlp="conv",
        mlp_ratio=(8.0, 8.0, 4.0, 4.0),
    )
    return BackboneConfig(
        stages=stages,
        tokenizer="overlap",
        patch_size=4,
        token_norm=True,
        position="none",
        stage_norm=True,
    )


@register_model
def pvt_v2_b0() -> BackboneConfig:
    return pvt_v2((2, 2, 2, 2), (32, 64, 160, 256))


@register_model
def pvt_v2_b1() -> BackboneConfig:
    return pvt_v2((2, 2, 2, 2), (64, 128, 320, 512))


@register_model
def pvt_v2_b2() -> BackboneConfig:
    return pvt_v2((3, 4, 6, 3), (64, 128, 320, 512))


@register_model
def test_pvt_v2() -> BackboneConfig:
    return pvt_v2((1, 1, 1, 1), (8, 16, 40, 64))
