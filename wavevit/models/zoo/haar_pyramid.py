"""The hierarchical hybrid: wavelets make the first grid, the coarser grids, and feed each stage.

Local mixing in the wavelet domain where tokens are many (strides 4 and 8), attention where they
are few (16 and 32). Circular borders and no absolute positions, so that the model keeps shifts
by its period and can be phase-locked.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["haar_pyramid"]


def haar_pyramid(
    depths: Sequence[int],
    embed_dims: Sequence[int],
    head_dim: int = 32,
    attention_from: int = 2,
) -> BackboneConfig:
    """A pyramid from stride 4 on, with attention from stage `attention_from` (0-based)."""
    count = len(depths)
    stages = make_stages(
        depths=depths,
        embed_dims=embed_dims,
        num_heads=[max(dim // head_dim, 1) for dim in embed_dims],
        mixer=["wavelet_conv" if i < attention_from else "global" for i in range(count)],
        # The first grid's tokenizer has just read every detail of its own stride.
        inject=[i > 0 for i in range(count)],
    )
    return BackboneConfig(
        stages=stages, tokenizer="dwt", patch_size=4, position="conv", padding="circular"
    )


@register_model
def haar_pyramid_nano() -> BackboneConfig:
    return haar_pyramid((2, 2, 4, 2), (32, 64, 128, 256))


@register_model
def haar_pyramid_tiny() -> BackboneConfig:
    return haar_pyramid((2, 2, 6, 2), (48, 96, 192, 384))


@register_model
def haar_pyramid_small() -> BackboneConfig:
    return haar_pyramid((2, 3, 10, 3), (64, 128, 320, 512))


@register_model
def haar_pyramid_base() -> BackboneConfig:
    return haar_pyramid((3, 4, 18, 3), (96, 192, 448, 768))


@register_model
def test_haar_pyramid() -> BackboneConfig:
    return haar_pyramid((1, 1, 1), (16, 32, 64), head_dim=16)
