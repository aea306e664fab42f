"""Build modules from a BackboneConfig."""

from __future__ import annotations

from typing import Any

from wavevit.alignment import ALIGNMENTS, Alignment
from wavevit.layers import DOWNSAMPLES, MIXERS, POSITIONS, TOKENIZERS, Part, PartContext
from wavevit.layers.blocks import make_mlp as make_mlp_of
from wavevit.models.config import BackboneConfig, StageConfig

__all__ = [
    "downsample_context",
    "first_context",
    "make_backbone_alignment",
    "make_downsample",
    "make_mixer",
    "make_mlp",
    "make_position",
    "make_tokenizer",
    "mixer_context",
]


def _context(config: BackboneConfig, stage: StageConfig, dim: int, **facts: Any) -> PartContext:
    return PartContext(
        in_chans=config.in_chans,
        dim=dim,
        out_dim=stage.embed_dim,
        patch_size=config.patch_size,
        prefix_tokens=int(config.pool == "token"),
        num_heads=stage.num_heads,
        reduction=stage.reduction,
        mlp=stage.mlp,
        mlp_ratio=stage.mlp_ratio,
        padding=config.padding,
        wavelet=config.wavelet,
        position=config.position,
        norm=config.norm,
        norm_eps=config.norm_eps,
        qkv_bias=config.qkv_bias,
        activation=config.activation,
        subband_norm=config.subband_norm,
        subband_act=config.subband_act,
        low_pass=config.low_pass,
        spectral_control=config.spectral_control,
        **facts,
    )


def first_context(config: BackboneConfig) -> PartContext:
    """Context with which the tokenizer and the position are built."""
    stage = config.stages[0]
    return _context(config, stage, stage.embed_dim, grid=config.grid(config.patch_size))


def mixer_context(config: BackboneConfig, index: int, block: int) -> PartContext:
    """Context with which the mixer of one block of a stage is built."""
    stage, grid = config.stages[index], config.grid(config.strides[index])
    return _context(config, stage, stage.embed_dim, grid=grid, block=block)


def downsample_context(config: BackboneConfig, index: int, drop_path: float = 0.0) -> PartContext:
    """Context of a downsampling: grid and channels of the stage before."""
    before, grid = config.stages[index - 1], config.grid(config.strides[index - 1])
    return _context(config, config.stages[index], before.embed_dim, grid=grid, drop_path=drop_path)


def make_tokenizer(config: BackboneConfig) -> Part:
    """The tokenizer: images to the first grid."""
    cls = TOKENIZERS.get(config.tokenizer)
    return cls.build(first_context(config), config.options("tokenizer"))


def make_position(config: BackboneConfig) -> Part:
    """The position: what is added to the first tokens; some live in mixers and add nothing."""
    cls = POSITIONS.get(config.position)
    return cls.build(first_context(config), config.options("position"))


def make_mixer(config: BackboneConfig, index: int, block: int) -> Part:
    """The mixer of one block of a stage."""
    stage = config.stages[index]
    context = mixer_context(config, index, block)
    return MIXERS.get(stage.mixer).build(context, stage.options("mixer"))


def make_mlp(config: BackboneConfig, index: int) -> Part:
    """The MLP of one block of a stage."""
    return make_mlp_of(mixer_context(config, index, 0))


def make_downsample(config: BackboneConfig, index: int, drop_path: float) -> Part | None:
    """The downsampling into a stage, from (tokens, grid) to both; None for the first stage."""
    stage = config.stages[index]
    if stage.downsample in DOWNSAMPLES.without:
        return None
    context = downsample_context(config, index, drop_path)
    return DOWNSAMPLES.get(stage.downsample).build(context, stage.options("downsample"))


def make_backbone_alignment(config: BackboneConfig, period: int | None) -> Alignment | None:
    """The alignment of a backbone with this shift period; None without an alignment."""
    if config.alignment in ALIGNMENTS.without:
        return None
    cls = ALIGNMENTS.get(config.alignment)
    options = config.options("alignment")
    alignment = cls.build(period, config.alignment_boundary, options)
    if alignment.period is None and alignment.takes_stride:
        return cls.build(config.strides[-1], config.alignment_boundary, options)
    return alignment
