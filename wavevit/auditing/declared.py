"""Input that a model declares: image size, channels, and normalisation of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from wavevit.auditing.wrappers import inner_of
from wavevit.checks import fail
from wavevit.models import Backbone, FeatureBackbone
from wavevit.models.data_config import MEAN, STD

__all__ = [
    "UNCHANGED",
    "Normalization",
    "declared_channels",
    "declared_normalization",
    "declared_size",
    "first_convolution",
    "given_normalization",
]

_DICTIONARIES = ("pretrained_cfg", "default_cfg", "preprocess_cfg")  # timm's; open_clip's


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel, and where they come from.

    Attributes:
        mean: of each channel, of pictures in [0, 1]; one value is of all channels.
        std: the same.
        source: in words, for the report.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str

    def of(self, channels: int) -> Normalization:
        """For so many channels; the first value for all where their numbers differ (as timm)."""
        mean, std = (
            values if len(values) == channels else values[:1] * channels
            for values in (self.mean, self.std)
        )
        return Normalization(mean, std, self.source)


UNCHANGED = Normalization((0.0,), (1.0,), "none declared: pictures unchanged, in [0, 1]")


def given_normalization(
    mean: Sequence[float] | float | None, std: Sequence[float] | float | None
) -> Normalization | None:
    """What the caller of an audit gave; a mean without a deviation keeps the contrast.

    Raises:
        ValueError: no numbers, or a standard deviation that is not positive.
    """
    if mean is None and std is None:
        return None
    means = _numbers("mean", 0.0 if mean is None else mean)
    deviations = _numbers("std", 1.0 if std is None else std)
    if min(deviations) <= 0:
        fail("std", "positive numbers", std)
    return Normalization(means, deviations, "given")


def _numbers(argument: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = (float(value),) if isinstance(value, int | float) else tuple(map(float, value))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or any(number - number != 0 for number in numbers):  # NaN and infinity too
        fail(argument, "a number, or one for each channel", repr(value))
    return numbers


def declared_normalization(module: Any) -> Normalization | None:
    """What one module (or what is inside its wrappers and alignments) declares; None if nothing."""
    inner = inner_of(module)
    name = type(inner).__name__
    if isinstance(inner, Backbone | FeatureBackbone):
        return Normalization((MEAN,), (STD,), f"wavevit's own models: {name}")
    for holder, where in _declarations(inner):
        mean, std = holder.get("mean"), holder.get("std")
        if mean is not None and std is not None:
            source = f"declared by {where} of {name}"
            return Normalization(_numbers("mean", mean), _numbers("std", std), source)
    return None


def _declarations(module: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Dictionaries that may hold a mean and a deviation, and their names."""
    for name in _DICTIONARIES:
        held = getattr(module, name, None)
        if isinstance(held, Mapping):
            yield held, name
    config = getattr(module, "config", None)
    held = getattr(config, "pretrained_cfg", None)
    if isinstance(held, Mapping):  # transformers' wrapper of timm
        yield held, "config.pretrained_cfg"
    mean, std = getattr(config, "image_mean", None), getattr(config, "image_std", None)
    if mean is not None and std is not None:
        yield {"mean": mean, "std": std}, "config"


def declared_size(modules: Iterable[Any]) -> tuple[Any, str] | None:
    """The side or sides that the first of some modules declares, and where."""
    for module in modules:
        for place, value in _sizes(module):
            if value is not None:
                return value, f"{place} of {type(module).__name__}"
    return None


def _sizes(module: Any) -> Iterator[tuple[str, Any]]:
    config = getattr(module, "config", None)
    yield "config.image_size", _side(getattr(config, "image_size", None))
    vision = getattr(config, "vision_config", None)
    yield "config.vision_config.image_size", _side(getattr(vision, "image_size", None))
    yield (
        "patch_embed.img_size",
        _side(getattr(getattr(module, "patch_embed", None), "img_size", None)),
    )
    for name in _DICTIONARIES:
        held = getattr(module, name, None)
        if isinstance(held, Mapping):
            shape = held.get("input_size") or held.get("size")
            yield name, _side(shape[-2:] if isinstance(shape, tuple | list) else shape)
    held = getattr(config, "pretrained_cfg", None)
    if isinstance(held, Mapping) and held.get("input_size"):
        yield "config.pretrained_cfg", _side(held["input_size"][-2:])
    shape = getattr(module, "input_shape", None)  # of an ONNX file or an exported program
    if isinstance(shape, tuple | list) and len(shape) == 4:
        yield "input_shape", _side(shape[-2:])
    for name in ("image_size", "img_size"):
        yield name, _side(getattr(module, name, None))


def _side(value: Any) -> Any:
    """A side, or a pair of two different ones; None for what is neither."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    sides = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not sides or any(isinstance(s, bool) or not isinstance(s, int) or s < 1 for s in sides):
        return None
    return sides[0] if len(set(sides)) == 1 else sides


def declared_channels(modules: Iterable[Any]) -> tuple[int, str] | None:
    """The number of channels that the first of some modules declares, and where."""
    for module in modules:
        for place, value in _channels(module):
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value, f"{place} of {type(module).__name__}"
    return None


def _channels(module: Any) -> Iterator[tuple[str, Any]]:
    config = getattr(module, "config", None)
    yield "in_chans", getattr(module, "in_chans", None)
    for name in ("num_channels", "in_chans", "in_channels"):
        yield f"config.{name}", getattr(config, name, None)
    vision = getattr(config, "vision_config", None)
    yield "config.vision_config.num_channels", getattr(vision, "num_channels", None)
    for name in _DICTIONARIES:
        held = getattr(module, name, None)
        shape = held.get("input_size") if isinstance(held, Mapping) else None
        yield name, shape[0] if isinstance(shape, tuple | list) and len(shape) == 3 else None
    held = getattr(config, "pretrained_cfg", None)
    if isinstance(held, Mapping) and held.get("input_size"):
        yield "config.pretrained_cfg", held["input_size"][0]
    shape = getattr(module, "input_shape", None)
    if isinstance(shape, tuple | list) and len(shape) == 4:
        yield "input_shape", shape[1]


def first_convolution(modules: Iterable[Any]) -> int | None:
    """Channels that the first convolution of some modules takes."""
    for module in modules:
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    return None
