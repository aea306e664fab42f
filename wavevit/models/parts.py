"""From the words of a configuration to the modules they stand for."""

from __future__ import annotations

from typing import Any

from wavevit.alignment import Alignment, make_alignment
from wavevit.layers.attention_downsample import AttentionDownsample
from wavevit.layers.blocks import ConvMlp, Mlp
from wavevit.layers.downsample import (
    BandLimitedDownsample,
    BlurPoolDownsample,
    ConvDownsample,
    DWTDownsample,
    LiftingDownsample,
    LowPassDownsample,
    PatchMerging,
    PoolDownsample,
)
from wavevit.layers.mixers import (
    CrossCovarianceAttention,
    GlobalAttention,
    LipschitzAttention,
    LowPassAttention,
    PoolingAttention,
    SpatialReductionAttention,
    WaveletAttention,
    WaveletConv,
    WindowAttention,
)
from wavevit.layers.positions import ConvPosition, LearnedPosition, NoPosition, SinCosPosition
from wavevit.layers.rotary import Rotary
from wavevit.layers.symmetry import Part
from wavevit.layers.tokenizers import (
    AliasFreeTokenizer,
    ConvStemTokenizer,
    DeepStemTokenizer,
    DTCWTTokenizer,
    OverlapTokenizer,
    PacketTokenizer,
    PatchTokenizer,
    ScatteringTokenizer,
    SWTTokenizer,
)
from wavevit.models.config import BackboneConfig, StageConfig

__all__ = [
    "make_backbone_alignment",
    "make_downsample",
    "make_mixer",
    "make_mlp",
    "make_position",
    "make_tokenizer",
]


def make_tokenizer(config: BackboneConfig) -> Part:
    """Images to the first grid."""
    channels, dim, patch = config.in_chans, config.stages[0].embed_dim, config.patch_size
    match config.tokenizer:
        case "patch":
            return PatchTokenizer(channels, dim, patch)
        case "overlap":
            return OverlapTokenizer(channels, dim, patch, config.padding)
        case "conv_stem":
            return ConvStemTokenizer(channels, dim, patch, config.padding, config.norm_eps)
        case "deep_stem":
            return DeepStemTokenizer(channels, dim, patch, config.padding, config.norm_eps)
        case "dwt":
            return PacketTokenizer(
                channels, dim, patch, config.wavelet, config.subband_norm, config.subband_act
            )
        case "swt":
            return SWTTokenizer(
                channels, dim, patch, config.wavelet, config.padding, config.subband_norm
            )
        case "dtcwt":
            return DTCWTTokenizer(channels, dim, patch, config.padding, config.subband_norm)
        case "scattering":
            return ScatteringTokenizer(channels, dim, patch, config.padding, config.subband_norm)
        case "alias_free":
            return AliasFreeTokenizer(
                channels,
                dim,
                patch,
                stem_depth=config.stem_depth,
                stem_width=config.stem_width,
                scales=config.scales,
                wavelet=config.wavelet,
                modulus=config.subband_act,
                subband_norm=config.subband_norm,
                low_pass=config.low_pass,
                padding=config.padding,
            )
    raise AssertionError(config.tokenizer)


def make_position(config: BackboneConfig) -> Part:
    """What is added to the first tokens; relative positions are the mixers' affair."""
    dim = config.stages[0].embed_dim
    match config.position:
        case "learned":
            grid = config.grid(config.patch_size)
            return LearnedPosition(dim, grid, prefix=int(config.pool == "token"))
        case "sincos":
            return SinCosPosition(dim)
        case "conv":
            return ConvPosition(dim, config.padding)
        case "relative_bias" | "rope" | "none":
            return NoPosition()
    raise AssertionError(config.position)


def _rotary(config: BackboneConfig, stage: StageConfig, padding: str) -> Rotary | None:
    if config.position != "rope":
        return None
    return Rotary(stage.embed_dim // stage.num_heads, padding)


def _pooling_attention(
    config: BackboneConfig, index: int, dim: int, query_stride: int
) -> PoolingAttention:
    """With queries at the stride of stage `index`, from a grid that is `query_stride` finer."""
    stage = config.stages[index]
    relative = config.position == "relative_bias"
    return PoolingAttention(
        dim,
        stage.embed_dim,
        stage.num_heads,
        stage.reduction,
        query_stride,
        config.grid(config.strides[index] // query_stride) if relative else None,
        config.qkv_bias,
        config.padding,
        config.norm_eps,
    )


def make_mixer(config: BackboneConfig, index: int, block: int) -> Part:
    """The mixer of one block of a stage."""
    stage = config.stages[index]
    dim, heads = stage.embed_dim, stage.num_heads
    match stage.mixer:
        case "global":
            rotary = _rotary(config, stage, config.padding)
            return GlobalAttention(dim, heads, config.qkv_bias, rotary)
        case "lipschitz":
            rotary = _rotary(config, stage, config.padding)
            # Bounded maps leave a head's vectors about as long as the root of its channels.
            length = (dim / heads) ** 0.5 if config.spectral_control else 1.0
            return LipschitzAttention(dim, heads, config.qkv_bias, rotary, length)
        case "window":
            return WindowAttention(
                dim,
                heads,
                stage.window_size,
                shifted=block % 2 == 1,
                relative_bias=config.position == "relative_bias",
                qkv_bias=config.qkv_bias,
                padding=config.padding,
                rotary=_rotary(config, stage, "zeros"),
            )
        case "pooled":
            return _pooling_attention(config, index, dim, query_stride=1)
        case "wavelet_kv":
            return WaveletAttention(
                dim,
                heads,
                stage.reduction,
                config.wavelet,
                config.qkv_bias,
                config.padding,
                config.norm_eps,
            )
        case "spatial_reduction":
            return SpatialReductionAttention(
                dim, heads, stage.reduction, config.qkv_bias, config.norm_eps
            )
        case "cross_covariance":
            return CrossCovarianceAttention(dim, heads, config.qkv_bias)
        case "lowpass_kv":
            return LowPassAttention(dim, heads, config.wavelet, config.qkv_bias, config.padding)
        case "covariance":
            return CrossCovarianceAttention(dim, heads, config.qkv_bias, normalize=False)
        case "wavelet_conv":
            return WaveletConv(
                dim, stage.kernel_size, stage.wavelet_levels, config.padding, config.wavelet
            )
    raise AssertionError(stage.mixer)


def make_mlp(config: BackboneConfig, stage: StageConfig) -> Part:
    """What happens at each token."""
    hidden = int(stage.embed_dim * stage.mlp_ratio)
    if stage.mlp == "conv":
        return ConvMlp(stage.embed_dim, hidden, config.padding, config.activation)
    return Mlp(stage.embed_dim, hidden, config.activation)


def make_downsample(config: BackboneConfig, index: int, drop_path: float) -> Part | None:
    """What leads into a stage, from (tokens, grid) to both; None for the first."""
    stage = config.stages[index]
    if stage.downsample == "none":
        return None
    dim, out = config.stages[index - 1].embed_dim, stage.embed_dim
    eps, norm = config.norm_eps, config.norm
    match stage.downsample:
        case "patch_merging":
            return PatchMerging(dim, out, eps, norm)
        case "conv":
            return ConvDownsample(dim, out, config.padding, eps, norm)
        case "pool":
            return PoolDownsample(dim, out, eps, norm)
        case "attention":
            mixer, mlp = _pooling_attention(config, index, dim, 2), make_mlp(config, stage)
            return AttentionDownsample(dim, out, mixer, mlp, config.padding, drop_path, eps, norm)
        case "blur_pool":
            return BlurPoolDownsample(dim, out, config.padding, eps, norm)
        case "dwt":
            return DWTDownsample(dim, out, config.wavelet, eps, norm)
        case "dwt_ll":
            return LowPassDownsample(dim, out, config.wavelet, eps, norm)
        case "lifting":
            return LiftingDownsample(dim, out, config.wavelet, eps, norm)
        case "band_limited":
            return BandLimitedDownsample(dim, out, config.low_pass, config.padding, eps, norm)
    raise AssertionError(stage.downsample)


def make_backbone_alignment(config: BackboneConfig, period: int | None) -> Alignment | None:
    """What chooses the phases of a backbone that keeps `period`; None where nothing does."""
    options: dict[str, Any] = {"boundary": config.alignment_boundary}
    match config.alignment:
        case "none" | "blur" | "group_average":
            options = {}
        case "phase_lock":
            options |= {"shift": config.alignment_shift, "gate": config.alignment_gate}
        case "weighted_frame":
            options["threshold"] = config.alignment_threshold
    return make_alignment(config.alignment, period, **options)
