"""The hierarchical hybrid: wavelets make the first grid, the coarser grids, and feed each stage.

Where tokens are many (strides 4 and 8) they mix with their neighbours in the wavelet domain, two
blocks a stage; at stride 16, where most blocks are, all meet through the approximation band
(`LowPassAttention`), and at stride 32 directly. So cost grows with the pixels and hardly faster.
From stage to stage goes the approximation alone; the details that a coarser grid can still use are
injected from the image, at their own stride. Handing on all four bands instead learned worse
(docs/axes/downsample.md) and costs more.
Circular borders and no absolute positions, so that the model keeps shifts by its period (the last
stride, 32) and can be phase-locked. Measured: experiments/records/latency/.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavevit.models.config import BackboneConfig, make_stages
from wavevit.models.registry import register_model

__all__ = ["haar_pyramid"]


def haar_pyramid(
    depths: Sequence[int], embed_dims: Sequence[int], head_dim: int = 64
) -> BackboneConfig:
    """A pyramid from stride 4 on; the last two stages have attention."""
    count = len(depths)
    stages = make_stages(
        depths=depths,
        embed_dims=embed_dims,
        num_heads=[max(dim // head_dim, 1) for dim in embed_dims],
        mixer=["wavelet_conv"] * (count - 2) + ["lowpass_kv", "global"],
        # Hidden maps at strides 4 and 8 are the largest there are, and memory is what they cost.
        mlp_ratio=[min(2.0 + i, 4.0) for i in range(count)],
        downsample="dwt_ll",
        # The first grid's tokenizer has just read every detail of its own stride.
        inject=[i > 0 for i in range(count)],
    )
    return BackboneConfig(
        stages=stages, tokenizer="dwt", patch_size=4, position="conv", padding="circular"
    )


@register_model
def haar_pyramid_nano() -> BackboneConfig:
    return haar_pyramid((2, 2, 3, 2), (32, 64, 192, 256))


@register_model
def haar_pyramid_tiny() -> BackboneConfig:
    return haar_pyramid((2, 2, 4, 2), (48, 96, 256, 384))


@register_model
def haar_pyramid_small() -> BackboneConfig:
    return haar_pyramid((2, 2, 8, 2), (64, 128, 384, 512))


@register_model
def haar_pyramid_base() -> BackboneConfig:
    return haar_pyramid((2, 2, 14, 3), (96, 192, 512, 768))


@register_model
def test_haar_pyramid() -> BackboneConfig:
    return haar_pyramid((1, 1, 1), (16, 32, 64), head_dim=16)
