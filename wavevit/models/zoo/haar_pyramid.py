"""Haar pyramid: a hierarchical hybrid with wavelet tokens, downsampling and injected details.

At strides 4 and 8, with many tokens, neighbours mix in the wavelet domain, with two blocks in each
stage. At stride 16, which has most of the blocks, tokens attend to the approximation band
(`LowPassAttention`); at stride 32 attention is global. So the cost grows little faster than the
number of pixels. A stage passes on the approximation only; the details of the image are injected
into each stage at its stride. Passing on all four bands was worse after training
(docs/axes/downsample.md) and costs more.
Circular padding and no absolute positions: the model keeps circular shifts by its period (the last
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
    """Configuration of a pyramid that starts at stride 4; the last two stages have attention."""
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
