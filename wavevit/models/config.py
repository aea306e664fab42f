"""One configuration space: every backbone of this package is a point of it.

The classes are frozen, so a configuration can be a key, a record and the definition of an
ablation: ``dataclasses.replace(config, one_field=…)``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavevit.alignment import BOUNDARIES, METHODS
from wavevit.checks import check_at_least, check_choice, check_multiple, fail
from wavevit.layers.padding import PADDINGS

__all__ = [
    "DOWNSAMPLES",
    "MIXERS",
    "POOLS",
    "POSITIONS",
    "TOKENIZERS",
    "BackboneConfig",
    "StageConfig",
    "make_stages",
]

TOKENIZERS = ("patch", "dwt")
MIXERS = ("global", "wavelet_conv")
DOWNSAMPLES = ("none", "dwt")
POSITIONS = ("learned", "conv", "none")
POOLS = ("token", "avg")


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Blocks that share one grid.

    Attributes:
        depth: number of blocks.
        embed_dim: channels of a token.
        num_heads: attention heads, a divisor of `embed_dim`; read by attention mixers.
        mixer: how tokens exchange information: ``"global"`` or ``"wavelet_conv"``.
        downsample: how the previous stage's grid becomes this one's: ``"none"`` for the first
            stage (the tokenizer made its grid), ``"dwt"`` halves both sides.
        mlp_ratio: hidden channels of the MLP per channel.
        inject: add the image's own wavelet details of this stage's stride to its tokens.
        kernel_size: odd side of the convolution; read by ``"wavelet_conv"``.
        wavelet_levels: levels of the mixer's own pyramid; read by ``"wavelet_conv"``.
    """

    depth: int
    embed_dim: int
    num_heads: int = 1
    mixer: str = "global"
    downsample: str = "none"
    mlp_ratio: float = 4.0
    inject: bool = False
    kernel_size: int = 5
    wavelet_levels: int = 1

    def __post_init__(self) -> None:
        check_at_least("depth", self.depth, 1)
        check_at_least("embed_dim", self.embed_dim, 1)
        check_at_least("num_heads", self.num_heads, 1)
        check_choice("mixer", self.mixer, MIXERS)
        check_choice("downsample", self.downsample, DOWNSAMPLES)
        if self.mlp_ratio <= 0:
            fail("mlp_ratio", "a positive number", self.mlp_ratio)
        check_at_least("wavelet_levels", self.wavelet_levels, 1)
        if check_at_least("kernel_size", self.kernel_size, 1) % 2 == 0:
            fail("kernel_size", "an odd number", self.kernel_size)
        if self.mixer == "global":
            check_multiple("embed_dim", self.embed_dim, self.num_heads)


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Everything that defines a backbone.

    Attributes:
        stages: one `StageConfig` per grid, fine to coarse.
        in_chans: channels of the image.
        img_size: training size in pixels, one side or (H, W); other sizes work too. It decides
            the grid of learned positions and nothing else.
        tokenizer: ``"patch"`` (a strided convolution) or ``"dwt"`` (a wavelet packet).
        patch_size: stride of the first grid in pixels.
        wavelet: filter of every wavelet step in the model.
        subband_norm: normalise each subband of the ``"dwt"`` tokenizer.
        subband_act: GELU on each coefficient of the ``"dwt"`` tokenizer.
        position: ``"learned"``, ``"conv"`` or ``"none"``.
        padding: borders of convolutions on token maps: ``"zeros"`` or ``"circular"``.
        alignment: ``"none"`` or ``"phase_lock"``; its period follows from the other fields.
        alignment_boundary: ``"circular"`` (exact for rolls) or ``"window"`` (follows crops).
        pool: ``"token"`` (class token) or ``"avg"``.
        num_classes: outputs of the head, 0 for pooled features.
        qkv_bias: bias of queries, keys and values.
        drop_path_rate: stochastic depth of the last block; it grows linearly from 0.
        norm_eps: of every LayerNorm.
    """

    stages: tuple[StageConfig, ...]
    in_chans: int = 3
    img_size: int | tuple[int, int] = 224
    tokenizer: str = "patch"
    patch_size: int = 16
    wavelet: str = "haar"
    subband_norm: bool = True
    subband_act: bool = True
    position: str = "learned"
    padding: str = "zeros"
    alignment: str = "none"
    alignment_boundary: str = "circular"
    pool: str = "avg"
    num_classes: int = 1000
    qkv_bias: bool = True
    drop_path_rate: float = 0.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        self._check_stages()
        check_at_least("in_chans", self.in_chans, 1)
        check_at_least("num_classes", self.num_classes, 0)
        check_choice("tokenizer", self.tokenizer, TOKENIZERS)
        check_choice("position", self.position, POSITIONS)
        check_choice("padding", self.padding, PADDINGS)
        check_choice("alignment", self.alignment, METHODS)
        check_choice("alignment_boundary", self.alignment_boundary, BOUNDARIES)
        check_choice("pool", self.pool, POOLS)
        check_at_least("patch_size", self.patch_size, 1)
        if self.patch_size & (self.patch_size - 1) and (
            self.tokenizer == "dwt" or any(stage.inject for stage in self.stages)
        ):
            fail("patch_size", "a power of two where a wavelet reads the image", self.patch_size)
        if not 0 <= self.drop_path_rate < 1:
            fail("drop_path_rate", "a rate in [0, 1)", self.drop_path_rate)
        size = (self.img_size,) * 2 if isinstance(self.img_size, int) else tuple(self.img_size)
        if len(size) != 2 or any(not isinstance(side, int) for side in size):
            fail("img_size", "one integer or (height, width)", self.img_size)
        if min(size) < self.min_size:
            fail("img_size", f"sides of at least {self.min_size} pixels", self.img_size)

    def _check_stages(self) -> None:
        if not isinstance(self.stages, tuple):
            object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            fail("stages", "at least one StageConfig", "none")
        for index, stage in enumerate(self.stages):
            if not isinstance(stage, StageConfig):
                fail(f"stages[{index}]", "a StageConfig", type(stage).__name__)
            if (index == 0) != (stage.downsample == "none"):
                expected = (
                    "'none' (the tokenizer makes its grid)" if index == 0 else "a downsampler"
                )
                fail(f"stages[{index}].downsample", expected, repr(stage.downsample))
        if self.pool == "token":
            if len(self.stages) > 1:
                fail("pool", "'avg' where there are several stages", "'token'")
            if self.stages[0].mixer != "global":
                mixer = repr(self.stages[0].mixer)
                fail("pool", f"'avg' with mixer {mixer} (no place on the grid)", "'token'")

    @property
    def image_size(self) -> tuple[int, int]:
        """`img_size` as (H, W)."""
        return (self.img_size,) * 2 if isinstance(self.img_size, int) else self.img_size

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per token step of each stage."""
        return tuple(self.patch_size << index for index in range(len(self.stages)))

    @property
    def min_size(self) -> int:
        """Shortest side in pixels that the model can read."""
        injected = [s for s, stage in zip(self.strides, self.stages, strict=True) if stage.inject]
        return max([self.patch_size, *injected])

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BackboneConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ValueError: an unknown field (with the nearest names) or a bad value.
        """
        values = dict(data)
        for name in values:
            check_choice("field", name, [field.name for field in dataclasses.fields(cls)])
        values["stages"] = tuple(StageConfig(**stage) for stage in values.get("stages", ()))
        if isinstance(values.get("img_size"), list):
            values["img_size"] = tuple(values["img_size"])
        return cls(**values)


def make_stages(
    *,
    depths: Sequence[int],
    embed_dims: Sequence[int],
    num_heads: Sequence[int] | int = 1,
    mixers: Sequence[str] | str = "global",
    downsample: str = "dwt",
    mlp_ratio: float = 4.0,
    inject: Sequence[bool] | bool = False,
    kernel_size: int = 5,
) -> tuple[StageConfig, ...]:
    """Stages from parallel sequences, as the papers' tables give them.

    Args:
        depths: blocks of each stage; its length is the number of stages.
        embed_dims: channels of each stage.
        num_heads: heads of each stage, or one number for all.
        mixers: mixer of each stage, or one for all.
        downsample: how every stage after the first gets its grid.
        mlp_ratio: for all stages.
        inject: for each stage, or one for all.
        kernel_size: for all stages.

    Raises:
        ValueError: sequences of different lengths.

    Example:
        >>> [stage.downsample for stage in make_stages(depths=(1, 2), embed_dims=(8, 16))]
        ['none', 'dwt']
    """
    count = len(depths)

    def spread(argument: str, value: Any) -> list[Any]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            return [value] * count
        if len(value) != count:
            fail(argument, f"{count} values, one per entry of depths", f"{len(value)}: {value!r}")
        return list(value)

    return tuple(
        StageConfig(
            depth=depth,
            embed_dim=dim,
            num_heads=heads,
            mixer=mixer,
            downsample="none" if index == 0 else downsample,
            mlp_ratio=mlp_ratio,
            inject=injected,
            kernel_size=kernel_size,
        )
        for index, (depth, dim, heads, mixer, injected) in enumerate(
            zip(
                depths,
                spread("embed_dims", embed_dims),
                spread("num_heads", num_heads),
                spread("mixers", mixers),
                spread("inject", inject),
                strict=True,
            )
        )
    )
