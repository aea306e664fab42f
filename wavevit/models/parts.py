"""From the words of a configuration to the modules they stand for."""

from __future__ import annotations

from wavevit.layers.blocks import ConvMlp, Mlp
from wavevit.layers.downsample import (
    BandLimitedDownsample,
    BlurPoolDownsample,
    ConvDownsample,
    Downsample,
    DWTDownsample,
    LowPassDownsample,
    PatchMerging,
    PoolDownsample,
)
from wavevit.layers.mixers import (
    CrossCovarianceAttention,
    GlobalAttention,
    SpatialReductionAttention,
    WaveletConv,
    WindowAttention,
)
from wavevit.layers.positions import ConvPosition, LearnedPosition, NoPosition, SinCosPosition
from wavevit.layers.symmetry import Part
from wavevit.layers.tokenizers import (
    AliasFreeTokenizer,
    ConvStemTokenizer,
    OverlapTokenizer,
    PacketTokenizer,
    PatchTokenizer,
)
from wavevit.models.config import BackboneConfig, StageConfig

__all__ = ["make_downsample", "make_mixer", "make_mlp", "make_position", "make_tokenizer"]


def make_tokenizer(config: BackboneConfig) -> Part:
    """Images to the first grid."""
    channels, dim, patch = config.in_chans, config.stages[0].embed_dim, config.patch_size
    match config.tokenizer:
        case "patch":
            return PatchTokenizer(channels, dim, patch)
        case "overlap":
            return OverlapTokenizer(channels, dim, patch, config.padding, config.norm_eps)
        case "conv_stem":
            return ConvStemTokenizer(channels, dim, patch, config.padding, config.norm_eps)
        case "dwt":
            return PacketTokenizer(
                channels, dim, patch, config.wavelet, config.subband_norm, config.subband_act
            )
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
    """What is added to the first tokens; a relative bias is the mixers' affair."""
    dim = config.stages[0].embed_dim
    match config.position:
        case "learned":
            height, width = (-(-side // config.patch_size) for side in config.image_size)
            return LearnedPosition(dim, (height, width), prefix=int(config.pool == "token"))
        case "sincos":
            return SinCosPosition(dim)
        case "conv":
            return ConvPosition(dim, config.padding)
        case "relative_bias" | "none":
            return NoPosition()
    raise AssertionError(config.position)


def make_mixer(config: BackboneConfig, stage: StageConfig, block: int) -> Part:
    """The mixer of one block of a stage."""
    dim, heads = stage.embed_dim, stage.num_heads
    match stage.mixer:
        case "global":
            return GlobalAttention(dim, heads, config.qkv_bias)
        case "window":
            return WindowAttention(
                dim,
                heads,
                stage.window_size,
                shifted=block % 2 == 1,
                relative_bias=config.position == "relative_bias",
                qkv_bias=config.qkv_bias,
                padding=config.padding,
            )
        case "spatial_reduction":
            return SpatialReductionAttention(
                dim, heads, stage.reduction, config.qkv_bias, config.norm_eps
            )
        case "cross_covariance":
            return CrossCovarianceAttention(dim, heads, config.qkv_bias)
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


def make_downsample(config: BackboneConfig, index: int) -> Downsample | None:
    """What leads into a stage; None for the first."""
    stage = config.stages[index]
    if stage.downsample == "none":
        return None
    dim, out, eps = config.stages[index - 1].embed_dim, stage.embed_dim, config.norm_eps
    match stage.downsample:
        case "patch_merging":
            return PatchMerging(dim, out, eps)
        case "conv":
            return ConvDownsample(dim, out, config.padding, eps)
        case "pool":
            return PoolDownsample(dim, out, eps)
        case "blur_pool":
            return BlurPoolDownsample(dim, out, config.padding, eps)
        case "dwt":
            return DWTDownsample(dim, out, config.wavelet, eps)
        case "dwt_ll":
            return LowPassDownsample(dim, out, config.wavelet, eps)
        case "band_limited":
            return BandLimitedDownsample(dim, out, config.low_pass, eps, config.norm)
    raise AssertionError(stage.downsample)
