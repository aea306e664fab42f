"""Configuration of one stage: blocks that share a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavevit.checks import (
    check_at_least,
    check_bool,
    check_choice,
    check_multiple,
    check_number,
    fail,
)
from wavevit.layers import Part, PartOptions, Registry
from wavevit.layers import registry as parts
from wavevit.models.old_fields import OLD_FIELDS, accept_old_fields

__all__ = ["Options", "StageConfig", "check_field", "make_stages", "read_options_of", "settle"]

Options = PartOptions | Mapping[str, Any] | None


def settle(config: Any, axis: str, registry: Registry[Any]) -> None:
    """Checks a layer's name and options; default options become None.

    So configurations with the same settings are equal.
    """
    registry.check(axis, getattr(config, axis))
    options = read_options_of(config, axis, registry)
    object.__setattr__(config, f"{axis}_options", None if options == type(options)() else options)


def read_options_of(config: Any, axis: str, registry: Registry[Any]) -> PartOptions:
    """The options of the part that a configuration names on an axis, defaults filled in."""
    field = f"{axis}_options"
    return registry.options(field, getattr(config, axis), getattr(config, field))


@accept_old_fields
@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Blocks that share one grid.

    Attributes:
        depth: number of blocks.
        embed_dim: channels of a token.
        num_heads: attention heads, a divisor of `embed_dim`; read by attention mixers.
        mixer: how tokens exchange information, a name of `wavevit.layers.MIXERS`: ``"global"``
            (ViT), ``"window"`` (Swin; every second block's windows are shifted),
            ``"spatial_reduction"`` (PVT),
            ``"pooled"`` (MViT), ``"wavelet_kv"`` (Wave-ViT), ``"lowpass_kv"`` (ours),
            ``"cross_covariance"`` (XCiT), ``"covariance"`` (the same without dividing by each
            channel's size: smooth), ``"lipschitz"`` (LipsFormer), ``"wavelet_conv"`` (WTConv).
        mixer_options: options of this mixer alone (`WindowOptions`, `WaveletConvOptions`, …), or a
            mapping of them; None for the defaults (default options are stored as None).
        downsample: how the stage halves the grid of the previous stage: ``"none"`` for the first
            stage (the tokenizer makes its grid); ``"patch_merging"`` (Swin), ``"conv"`` (PVT v2),
            ``"pool"`` (MViT), ``"attention"`` (MViT v2: a block of its own, before the `depth`
            others), ``"blur_pool"``, ``"dwt"`` (all bands), ``"dwt_ll"`` (the approximation
            alone), ``"lifting"`` (all bands of a learned wavelet), ``"band_limited"`` (an ideal
            low-pass).
        downsample_options: options of this downsampling alone, as `mixer_options`.
        mlp_ratio: hidden channels of the MLP per channel.
        mlp: ``"plain"``, or ``"conv"`` with a depthwise 3 x 3 convolution in it (PVT v2).
        inject: add the wavelet details of the image at this stage's stride to its tokens.
        reduction: stride that makes the map of keys and values smaller; used by
            ``"spatial_reduction"``, ``"pooled"``, ``"attention"`` and ``"wavelet_kv"``, which also
            halves the map.

    Raises:
        ValueError: an unknown name (with the nearest ones), a value out of range, or channels that
            the heads do not divide.
    """

    depth: int
    embed_dim: int
    num_heads: int = 1
    mixer: str = "global"
    mixer_options: Options = None
    downsample: str = "none"
    downsample_options: Options = None
    mlp_ratio: float = 4.0
    mlp: str = "plain"
    inject: bool = False
    reduction: int = 1

    def __post_init__(self) -> None:
        check_at_least("depth", self.depth, 1)
        check_at_least("embed_dim", self.embed_dim, 1)
        check_at_least("num_heads", self.num_heads, 1)
        settle(self, "mixer", parts.MIXERS)
        settle(self, "downsample", parts.DOWNSAMPLES)
        parts.MLPS.check("mlp", self.mlp)
        check_at_least("reduction", self.reduction, 1)
        check_number("mlp_ratio", self.mlp_ratio, above=0)
        check_bool("inject", self.inject)
        if any(part.reads_heads for part in self.parts):
            check_multiple("embed_dim", self.embed_dim, self.num_heads)

    @property
    def parts(self) -> list[type[Part]]:
        """The classes of the mixer and, where there is one, the downsampling."""
        downsample = (
            [parts.DOWNSAMPLES.get(self.downsample)] if self.downsample in parts.DOWNSAMPLES else []
        )
        return [parts.MIXERS.get(self.mixer), *downsample]

    def options(self, axis: str) -> Any:
        """Options of the ``"mixer"`` or the ``"downsample"``, with defaults filled in.

        Example:
            >>> StageConfig(depth=1, embed_dim=8, mixer="window").options("mixer").window_size
            7
        """
        registries: dict[str, Registry[Any]] = {
            "mixer": parts.MIXERS,
            "downsample": parts.DOWNSAMPLES,
        }
        return read_options_of(self, check_choice("axis", axis, registries), registries[axis])


def check_field(argument: str, name: str, of: type) -> None:
    """Checks that a name is a field of a configuration.

    Args:
        argument: what the message calls it.
        name: of the field.
        of: `BackboneConfig` or `StageConfig`.

    Raises:
        ValueError: the nearest fields are offered.
    """
    if name not in OLD_FIELDS[of.__name__]:
        check_choice(argument, name, [field.name for field in dataclasses.fields(of)])


def make_stages(
    *,
    depths: Sequence[int],
    embed_dims: Sequence[int],
    downsample: str = "dwt",
    **fields: Any,
) -> tuple[StageConfig, ...]:
    """Makes the stages of a backbone from sequences, one entry for each stage, as in papers.

    Args:
        depths: blocks of each stage; its length is the number of stages.
        embed_dims: channels of each stage.
        downsample: how every stage after the first gets its grid.
        **fields: any other field of `StageConfig`: one value for all stages, or a sequence with
            one for each.

    Raises:
        ValueError: an unknown field (with the nearest names), or sequences of different lengths.

    Example:
        >>> [stage.downsample for stage in make_stages(depths=(1, 2), embed_dims=(8, 16))]
        ['none', 'dwt']
    """
    if not isinstance(depths, Sequence) or isinstance(depths, str):
        fail("depths", "a sequence with one number for each stage", repr(depths))
    rows: list[dict[str, Any]] = [{"depth": depth} for depth in depths]
    for name, value in {"embed_dim": embed_dims, **fields}.items():
        check_field("field", name, StageConfig)
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else None
        if values is not None and len(values) != len(rows):
            argument = "embed_dims" if name == "embed_dim" else name
            expected = f"{len(rows)} values, one per entry of depths"
            fail(argument, expected, f"{len(values)}: {values!r}")
        for index, row in enumerate(rows):
            row[name] = value if values is None else values[index]
    return tuple(
        StageConfig(**row, downsample="none" if index == 0 else downsample)
        for index, row in enumerate(rows)
    )
