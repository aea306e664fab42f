"""A pyramid on dual-tree magnitudes: tokens that hardly move when the image does.

Magnitudes say how much edge of each orientation there is, not its sign or place; what they drop
comes back as the Haar details that every later stage is fed at its own stride. A low-pass before
each coarser grid keeps what the tokenizer bought. Circular borders and no absolute positions, so
that the model keeps shifts by its period and can be phase-locked.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["dtcwt_pyramid"]


def dtcwt_pyramid(
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
        downsample="blur_pool",
        inject=[i > 0 for i in range(count)],
    )
    return BackboneConfig(
        stages=stages, tokenizer="dtcwt", patch_size=4, position="conv", padding="circular"
    )


@register_model
def dtcwt_pyramid_tiny() -> BackboneConfig:
    return dtcwt_pyramid((2, 2, 6, 2), (48, 96, 192, 384))


@register_model
def test_dtcwt_pyramid() -> BackboneConfig:
    return dtcwt_pyramid((1, 1, 1), (16, 32, 64), head_dim=16)
