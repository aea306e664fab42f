"""`BackboneConfig`: configuration of every backbone in this package.

The classes are frozen, so a configuration can be a key, a record, or the start of an
ablation: ``dataclasses.replace(config, one_field=…)``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavevit.alignment import ALIGNMENTS, BOUNDARIES
from wavevit.checks import (
    as_pair,
    check_at_least,
    check_bool,
    check_choice,
    check_multiple,
    check_number,
    check_size,
    fail,
)
from wavevit.deprecated import deprecated_names
from wavevit.layers import Registry
from wavevit.layers import registry as parts
from wavevit.layers.band_limit import LOW_PASSES
from wavevit.layers.padding import PADDINGS
from wavevit.layers.pooling import POOLS
from wavevit.models.old_fields import accept_old_fields, translated
from wavevit.models.stage_config import (
    Options,
    StageConfig,
    check_field,
    make_stages,
    read_options_of,
    settle,
)
from wavevit.wavelets import filter_bank

__all__ = [
    "POOLS",
    "BackboneConfig",
    "StageConfig",
    "check_field",
    "make_stages",
]


@accept_old_fields
@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Configuration of a backbone.

    Attributes:
        stages: one `StageConfig` for each grid, fine to coarse.
        in_chans: channels of the image.
        img_size: training size in pixels, one side or (H, W); other sizes work too. It only sets
            the size of learned positions and of the relative positions of the ``"pooled"`` mixer.
        tokenizer: a name of `wavevit.layers.TOKENIZERS`: ``"patch"`` (a strided convolution),
            ``"overlap"`` (a wider one, PVT v2),
            ``"conv_stem"`` (small convolutions), ``"deep_stem"`` (more and larger ones,
            Wave-ViT), ``"dwt"`` (a wavelet packet), ``"alias_free"`` (small convolutions and
            wavelet magnitudes on the pixels, then an ideal low-pass), ``"adaptive"`` (patches of
            several sizes, small ones where the details are); or wavelet magnitudes, which
            change little when an edge moves within the patch: ``"swt"`` (undecimated wavelets),
            ``"dtcwt"`` (dual tree), ``"scattering"`` (second order).
        tokenizer_options: options of this tokenizer alone (`AliasFreeOptions`, …), or a mapping of
            them; None for the defaults (default options are stored as None).
        token_norm: LayerNorm on the first tokens, before positions (Swin, PVT v2).
        patch_size: stride of the first grid in pixels.
        wavelet: filter of every wavelet step in the model.
        subband_norm: a learned gain for each subband of a wavelet tokenizer.
        subband_act: a pointwise function of each coefficient: GELU in the ``"dwt"`` tokenizer, the
            magnitude of details in ``"alias_free"``.
        low_pass: low-pass against aliasing in the ``"alias_free"`` tokenizer and the
            ``"band_limited"`` downsampling: ``"ideal"``, ``"short"`` (a few taps, without wrapping
            if `padding` is not circular) or ``"none"`` (plain striding).
        norm: norm of tokens in blocks, in downsampling and after stages: ``"token"`` (LayerNorm),
            ``"map"`` (RMS norm over the whole map) or ``"center"`` (subtracts the mean only).
        spectral_control: linear maps of the stages have a norm of at most 1 (`BoundedLinear`), and
            residual branches have a learned gain that starts at one over their number. With
            ``"center"`` norms and ``"lipschitz"`` mixers the whole backbone then has a proved
            Lipschitz constant (`wavevit.measure.certified_lipschitz`).
        layer_scale: start of a learned factor for each channel of both branches of every block
            (LayerScale, Touvron et al. 2021), such as 1e-4; 0 for none.
        activation: activation of the MLPs: ``"gelu"``, ``"gelu_2x"`` (on a grid twice as fine) or
            ``"gate"`` (a product, without aliasing).
        position: ``"learned"``, ``"sincos"``, ``"conv"``, ``"relative_bias"`` (learned, inside
            ``"window"`` and ``"pooled"`` attention), ``"rope"`` (rotations, inside ``"global"``,
            ``"window"`` and ``"lipschitz"`` attention) or ``"none"``.
        position_options: options of this position alone, as `tokenizer_options`.
        stage_norm: a norm at the end of every stage (PVT v2), so maps of all strides are
            normalised. Without it only the last tokens are normalised, before the head.
        padding: padding of convolutions on token maps: ``"zeros"`` or ``"circular"``. With
            ``"zeros"``, tokenizers that read beyond the image repeat or mirror its border.
        alignment: ``"none"``, ``"blur"``, ``"polyphase"``, ``"phase_lock"``, ``"phase_tree"``,
            ``"weighted_frame"`` or ``"group_average"``; the period follows from the other fields.
        alignment_boundary: ``"circular"`` (exact for circular shifts), ``"window"`` (follows
            crops), ``"mirror"`` (follows crops and does not wrap) or ``"interior"`` (follows crops
            and reads one period less on each axis).
        alignment_options: options of this alignment alone (`wavevit.alignment.PhaseLockOptions`,
            `WeightedFrameOptions`, `GroupAverageOptions`), as `tokenizer_options`.
        pool: ``"token"`` (class token), ``"avg"``, or ``"power"`` (mean and standard deviation of
            every channel over the map, concatenated).
        fc_norm: apply the final norm after the pooling instead of before, as in timm's ViT with
            average pooling; then `forward_features` is not normalised.
        num_classes: outputs of the head, 0 for pooled features.
        qkv_bias: bias of queries, keys and values.
        drop_rate: dropout of the pooled features, before the head, in training.
        drop_path_rate: stochastic depth of the last block; it grows linearly from 0.
        norm_eps: epsilon of every norm, and of the standard deviation in ``pool="power"``.

    Raises:
        ValueError: an unknown name (with the nearest ones), a value out of range, or fields that do
            not fit together; the message says what is expected.
    """

    stages: tuple[StageConfig, ...]
    in_chans: int = 3
    img_size: int | tuple[int, int] = 224
    tokenizer: str = "patch"
    tokenizer_options: Options = None
    patch_size: int = 16
    wavelet: str = "haar"
    subband_norm: bool = True
    subband_act: bool = True
    low_pass: str = "ideal"
    norm: str = "token"
    spectral_control: bool = False
    layer_scale: float = 0.0
    activation: str = "gelu"
    token_norm: bool = False
    stage_norm: bool = False
    position: str = "learned"
    position_options: Options = None
    padding: str = "zeros"
    alignment: str = "none"
    alignment_boundary: str = "circular"
    alignment_options: Options = None
    pool: str = "avg"
    fc_norm: bool = False
    num_classes: int = 1000
    qkv_bias: bool = True
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        self._check_stages()
        check_at_least("in_chans", self.in_chans, 1)
        check_at_least("num_classes", self.num_classes, 0)
        for axis, registry in _BACKBONE_AXES.items():
            settle(self, axis, registry)
        check_choice("padding", self.padding, PADDINGS)
        check_choice("alignment_boundary", self.alignment_boundary, BOUNDARIES)
        check_choice("pool", self.pool, POOLS)
        parts.NORMS.check("norm", self.norm)
        parts.ACTIVATIONS.check("activation", self.activation)
        self._check_token_has_a_home()
        check_choice("low_pass", self.low_pass, LOW_PASSES)
        for field in dataclasses.fields(self):
            if field.type == "bool":
                check_bool(field.name, getattr(self, field.name))
        check_at_least("patch_size", self.patch_size, 1)
        if self.patch_size & (self.patch_size - 1) and (
            not parts.TOKENIZERS.get(self.tokenizer).any_patch or any(s.inject for s in self.stages)
        ):
            fail(
                "patch_size",
                "a power of two for this tokenizer or for injected details",
                self.patch_size,
            )
        for rate in ("drop_rate", "drop_path_rate"):
            value = getattr(self, rate)
            if not isinstance(value, float | int) or not 0 <= value < 1:
                fail(rate, "a rate in [0, 1)", repr(value))
        check_number("norm_eps", self.norm_eps, least=0)
        check_number("layer_scale", self.layer_scale, least=0)
        if self.layer_scale and self.spectral_control:
            fail(
                "layer_scale",
                "0 with spectral_control, which has gains of its own",
                self.layer_scale,
            )
        object.__setattr__(self, "wavelet", _name_of(self.wavelet))
        object.__setattr__(self, "img_size", check_size("img_size", self.img_size))
        if min(self.image_size) < self.min_size:
            fail("img_size", f"sides of at least {self.min_size} pixels", self.img_size)

    def _check_stages(self) -> None:
        if not isinstance(self.stages, Sequence) or isinstance(self.stages, str):
            fail("stages", "a sequence of StageConfig", type(self.stages).__name__)
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
        parts.POSITIONS.check("position", self.position)
        self._check_position_has_a_home()

    def _check_token_has_a_home(self) -> None:
        if self.pool == "token":
            if getattr(parts.ACTIVATIONS.get(self.activation), "needs_map", False):
                expected = f"'avg' or 'power' with activation {self.activation!r} (it needs a map)"
                fail("pool", expected, "'token'")
            if len(self.stages) > 1:
                fail("pool", "'avg' where there are several stages", "'token'")
            if not parts.MIXERS.get(self.stages[0].mixer).holds_token:
                mixer = repr(self.stages[0].mixer)
                fail("pool", f"'avg' with mixer {mixer} (no place on the grid)", "'token'")

    def _check_position_has_a_home(self) -> None:
        if not parts.POSITIONS.get(self.position).inside_mixers:
            return
        used = [part for stage in self.stages for part in stage.parts]
        if not any(self.position in part.hosts for part in used):
            homes = [
                name
                for name in parts.MIXERS.names()
                if self.position in parts.MIXERS.get(name).hosts
            ]
            mixers = " or ".join(f"mixer={mixer!r}" for mixer in homes) or "such a mixer"
            found = [stage.mixer for stage in self.stages]
            expected = f"another one where no stage has {mixers} (it lives inside them)"
            fail("position", expected, f"{self.position!r} with {', '.join(dict.fromkeys(found))}")

    @property
    def image_size(self) -> tuple[int, int]:
        """`img_size` as (H, W)."""
        return as_pair(self.img_size)

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each stage in pixels."""
        return tuple(self.patch_size << index for index in range(len(self.stages)))

    def grid(self, stride: int) -> tuple[int, int]:
        """Rows and columns of tokens of that stride at the training size."""
        check_multiple("stride", check_at_least("stride", stride, 1), self.patch_size)
        # From the first grid on, each stage halves the one before and rounds up.
        height, width = (-(-side // self.patch_size) for side in self.image_size)
        step = stride // self.patch_size
        return -(-height // step), -(-width // step)

    def ends_normed(self, index: int) -> bool:
        """Whether a stage of a hierarchical model ends with a norm of its own (`stage_norm`)."""
        last = index == len(self.stages) - 1
        return self.stage_norm and len(self.stages) > 1 and not (last and self.fc_norm)

    @property
    def min_size(self) -> int:
        """Smallest side of an image in pixels."""
        injected = [s for s, stage in zip(self.strides, self.stages, strict=True) if stage.inject]
        return max([self.patch_size, *injected])

    def options(self, axis: str) -> Any:
        """Options of the tokenizer, position or alignment, with defaults filled in.

        Args:
            axis: ``"tokenizer"``, ``"position"`` or ``"alignment"``.

        Example:
            >>> import wavevit
            >>> wavevit.model_config("test_alias_free_pyramid").options("tokenizer").stem_width
            4
        """
        return read_options_of(
            self, check_choice("axis", axis, _BACKBONE_AXES), _BACKBONE_AXES[axis]
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BackboneConfig:
        """Reads a configuration that `to_dict` wrote, of this version or an earlier one.

        Raises:
            NotRegistered: a name that is not registered; the message says what to import.
            ValueError: an unknown field (with the nearest names) or a bad value.
        """
        if not isinstance(data, Mapping):
            fail("data", "a mapping of the fields of BackboneConfig", type(data).__name__)
        for name in data:
            check_field("field", name, cls)
        stages = []
        for index, stage in enumerate(data.get("stages", ())):
            if not isinstance(stage, Mapping):
                expected = "a mapping of the fields of StageConfig"
                fail(f"data['stages'][{index}]", expected, type(stage).__name__)
            for name in stage:
                check_field("field", name, StageConfig)
            stages.append(StageConfig(**translated(StageConfig, stage)))
        return cls(**translated(cls, {**data, "stages": tuple(stages)}))


_BACKBONE_AXES: dict[str, Registry[Any]] = {
    "tokenizer": parts.TOKENIZERS,
    "position": parts.POSITIONS,
    "alignment": ALIGNMENTS,
}


def _name_of(wavelet: Any) -> str:
    """PyWavelets' spelling of a wavelet's name: what is written to JSON and compared."""
    name = str(getattr(wavelet, "name", wavelet)).lower()
    if name != "haar":  # every configuration has it; PyWavelets is imported for others only
        bank = filter_bank(name)
        if not isinstance(wavelet, str) and filter_bank(wavelet).filters != bank.filters:
            fail("wavelet", f"a wavelet of PyWavelets (not other filters named {name!r})", wavelet)
    return name


def _tuple_of(registry: Registry[Any]) -> tuple[str, Any]:
    return f"wavevit.layers.{registry.kind.upper()}S.values()", registry.values


__getattr__ = deprecated_names(
    __name__,
    {
        "TOKENIZERS": _tuple_of(parts.TOKENIZERS),
        "MIXERS": _tuple_of(parts.MIXERS),
        "DOWNSAMPLES": _tuple_of(parts.DOWNSAMPLES),
        "POSITIONS": _tuple_of(parts.POSITIONS),
        "MLPS": _tuple_of(parts.MLPS),
    },
)
