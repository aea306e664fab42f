"""Swin (Liu et al. 2021): shifted windows, patch merging, relative position biases."""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["swin"]


def swin(
    embed_dim: int, depths: Sequence[int], num_heads: Sequence[int], window_size: int = 7
) -> BackboneConfig:
    """A Swin whose channels double from stage to stage."""
    stages = make_stages(
        depths=depths,
        embed_dims=[embed_dim << index for index in range(len(depths))],
        num_heads=num_heads,
        mixer="window",
        downsample="patch_merging",
        mixer_options={"window_size": window_size},
    )
    return BackboneConfig(
        stages=stages, patch_size=4, token_norm=True, position="relative_bias", norm_eps=1e-5
    )


@register_model
def swin_tiny() -> BackboneConfig:
    return swin(96, (2, 2, 6, 2), (3, 6, 12, 24))


@register_model
def swin_small() -> BackboneConfig:
    return swin(96, (2, 2, 18, 2), (3, 6, 12, 24))


@register_model
def swin_base() -> BackboneConfig:
    return swin(128, (2, 2, 18, 2), (4, 8, 16, 32))


@register_model
def test_swin() -> BackboneConfig:
    return swin(16, (2, 2, 1), (1, 2, 4), window_size=4)
