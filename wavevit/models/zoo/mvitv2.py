"""MViT v2 (Li et al. 2022): attention with pooling, which also makes the coarser grids."""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["mvitv2"]


def mvitv2(depths: Sequence[int], embed_dim: int) -> BackboneConfig:
    """An MViT v2 of four stages whose channels double.

    Args:
        depths: blocks of each stage as the paper counts them; the first of every later stage is
            the downsampler here.
        embed_dim: channels of the first stage, which has one head.
    """
    stages = make_stages(
        depths=[depth - (index > 0) for index, depth in enumerate(depths)],
        embed_dims=[embed_dim << index for index in range(4)],
        num_heads=(1, 2, 4, 8),
        mixer="pooled",
        reduction=(4, 2, 1, 1),
        downsample="attention",
    )
    return BackboneConfig(
        stages=stages, tokenizer="overlap", patch_size=4, position="relative_bias"
    )


@register_model
def mvitv2_tiny() -> BackboneConfig:
    return mvitv2((1, 2, 5, 2), 96)


@register_model
def test_mvitv2() -> BackboneConfig:
    return mvitv2((1, 2, 2, 2), 8)
