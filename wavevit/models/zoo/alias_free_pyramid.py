"""Alias-free pyramid: invariant to every integer circular shift, without choosing a phase.

Convolutions and wavelet magnitudes on the pixels with few channels; tokens without frequencies
above the Nyquist frequency of their grid; mixing and non-linearities that keep this; norms and
pools that are sums over the map. No integer circular shift changes the pooled output, at any size,
and there is no argmax whose ties could jump.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["alias_free_pyramid"]


def alias_free_pyramid(
    depths: Sequence[int],
    embed_dims: Sequence[int],
    head_dim: int = 32,
    patch_size: int = 8,
    stem_width: int = 12,
) -> BackboneConfig:
    """Configuration of a pyramid that starts at stride `patch_size`."""
    stages = make_stages(
        depths=depths,
        embed_dims=embed_dims,
        num_heads=[max(dim // head_dim, 1) for dim in embed_dims],
        mixer="covariance",
        downsample="band_limited",
        mlp="conv",
        mlp_ratio=2.0,  # a gate has two maps per hidden channel
    )
    return BackboneConfig(
        stages=stages,
        tokenizer="alias_free",
        patch_size=patch_size,
        tokenizer_options={"stem_width": stem_width},
        position="none",
        padding="circular",
        norm="map",
        activation="gate",
        pool="power",
    )


@register_model
def alias_free_pyramid_tiny() -> BackboneConfig:
    return alias_free_pyramid((2, 4, 2), (96, 192, 384))


@register_model
def alias_free_pyramid_small() -> BackboneConfig:
    return alias_free_pyramid((3, 10, 3), (128, 256, 512), stem_width=16)


@register_model
def test_alias_free_pyramid() -> BackboneConfig:
    return alias_free_pyramid((1, 1), (16, 32), head_dim=16, stem_width=4)
