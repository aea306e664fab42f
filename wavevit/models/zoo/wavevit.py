"""Wave-ViT (Yao et al., ECCV 2022): keys and values from wavelet coefficients.

The structure follows the text of the paper. Differences from the authors' code: keys and values are
all coefficients (the code's additional strided convolution is the field
``reduction=(4, 2, 1, 1)``); LayerNorm instead of batch norm; average pooling, because the
class-attention block and the second head belong to token labelling. Every image size and dtype
works, and ``features_only`` returns maps.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["wavevit"]


def wavevit(
    depths: Sequence[int], embed_dims: Sequence[int], num_heads: Sequence[int]
) -> BackboneConfig:
    """A Wave-ViT of four stages, the last two with plain attention."""
    stages = make_stages(
        depths=depths,
        embed_dims=embed_dims,
        num_heads=num_heads,
        mixer=("wavelet_kv", "wavelet_kv", "global", "global"),
        downsample="conv",
        mlp="conv",
        mlp_ratio=(8.0, 8.0, 4.0, 4.0),
    )
    return BackboneConfig(
        stages=stages,
        tokenizer="deep_stem",
        patch_size=4,
        token_norm=True,
        position="none",
        stage_norm=True,
    )


@register_model
def wavevit_s() -> BackboneConfig:
    return wavevit((3, 4, 6, 3), (64, 128, 320, 448), (2, 4, 10, 14))


@register_model
def test_wavevit() -> BackboneConfig:
    return wavevit((1, 1, 1, 1), (8, 16, 40, 56), (1, 2, 5, 7))
