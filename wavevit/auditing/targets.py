"""What an audit examines: one model, and every view of it that a measure needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.alignment import AlignedModel, align
from wavevit.auditing.naming import SYNTAX, model_of, split_method
from wavevit.auditing.views import Chosen, Normalized, choose_output, headless, through, token_map
from wavevit.checks import check_at_least, fail
from wavevit.measure.evaluation import evaluation_mode
from wavevit.models import Backbone

__all__ = ["Target", "make_target"]

# Of our models, for pictures in [0, 1]: near to the zero mean and unit contrast that the studies
# train with. timm's models say theirs; others get pictures as they are.
_OUR_MEAN, _OUR_STD = 0.5, 0.25


@dataclass(frozen=True)
class Target:
    """One model under audit; its views take pictures (B, channels, size, size) in [0, 1].

    Attributes:
        name: in the report.
        size: side of its input in pixels.
        channels: of its input.
        device: where it is.
        dtype: of its weights.
        logits: the whole model.
        embed: its pooled features; its output where no classifier can be taken off.
        tokens: its last map (B, D, h, w), or None.
        attending: where attention happens: the inner model of an aligned one.
        seen: pictures to the images that `attending` gets.
        unclassed: why `logits` are no class scores; empty if they are.
        facts: what the JSON says about it.
    """

    name: str
    size: int
    channels: int
    device: torch.device
    dtype: torch.dtype
    logits: nn.Module
    embed: nn.Module
    tokens: nn.Module | None
    attending: Callable[[Tensor], Any]
    seen: nn.Module
    unclassed: str
    facts: dict[str, Any]


def make_target(
    model: Any,
    *,
    name: str | None = None,
    size: int | None = None,
    pretrained: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Target:
    """Builds a model from its name, where it is one, and finds out how to look at it.

    Args:
        model: a MODEL string, a module (aligned or not), or any callable.
        name: in the report; the string, or the class, by default.
        size: side of the input in pixels; by default what the model declares.
        pretrained: timm's weights instead of random ones.
        seed: of random weights.
        device: where to move the model; by default it stays where it is.

    Returns:
        A `Target`. The model itself is left as it was, but for its device.

    Raises:
        ValueError: a string that names no model, no size, a size that the model refuses, an
            output with nothing to look at.
    """
    facts = {"source": "object", "weights": "as given"}
    if isinstance(model, str):
        name, source = name or model, model
        base, method = split_method(model)
        model, weights = model_of(base, pretrained=pretrained, size=size, seed=seed)
        facts = {"source": source, "weights": weights}
        if method is not None and callable(model):
            module = model if isinstance(model, nn.Module) else Chosen(model, ())
            side, (channels, _, _) = _size(model, size), _input_of(model)
            model = align(module.eval(), method, input_size=(channels, side, side))
    if not callable(model):
        fail("model", f"a module, a callable, or {SYNTAX}", type(model).__name__)
    if device is not None and isinstance(model, nn.Module):
        model = model.to(device)
    return _examined(model, name or type(model).__name__, _size(model, size), facts)


def _inner(model: Any) -> Any:
    return model.model if isinstance(model, AlignedModel) else model


def _size(model: Any, size: int | None) -> int:
    """The side given, or the one that the model declares: our way, timm's or Hugging Face's."""
    inner = _inner(model)
    if size is None:
        cfg = getattr(inner, "pretrained_cfg", None) or {}
        declared = (
            getattr(getattr(inner, "config", None), "image_size", None),
            getattr(getattr(inner, "patch_embed", None), "img_size", None),
            tuple(cfg["input_size"][-2:]) if "input_size" in cfg else None,
        )
        found = next((value for value in declared if value is not None), None)
        if found is None:
            fail("size", "the side of the model's input in pixels (it declares none)", None)
        sides = set(found) if isinstance(found, tuple | list) else {found}
        if len(sides) > 1:
            fail("size", "one side for a square input (the model declares another)", found)
        size = int(sides.pop())
    return check_at_least("size", size, 8)


def _input_of(model: Any) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Channels, and the mean and standard deviation of each that the model wants."""
    inner = _inner(model)
    cfg = getattr(inner, "pretrained_cfg", None) or {}
    channels = getattr(inner, "in_chans", None) or cfg.get("input_size", (3,))[0]
    if isinstance(inner, Backbone):
        return channels, (_OUR_MEAN,) * channels, (_OUR_STD,) * channels
    mean, std = tuple(cfg.get("mean", (0.0,))), tuple(cfg.get("std", (1.0,)))
    if len(mean) != channels or len(std) != channels:
        mean, std = mean[:1] * channels, std[:1] * channels
    return channels, mean, std


def _probe(model: nn.Module, size: int, channels: int, like: Tensor) -> Any:
    """What the model returns for two noise pictures."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, channels, size, size, generator=generator).to(like)
    try:
        with torch.no_grad(), evaluation_mode(model):
            return model(x)
    except Exception as error:  # whatever a model throws at an input that is not its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ValueError(
            f"size: expected a side that the model takes, got {size} pixels with {channels} "
            f"channel(s), to which it says {reason}"
        ) from error


def _examined(model: Any, name: str, size: int, facts: dict[str, Any]) -> Target:
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    like = next((p.detach() for p in parameters if p.is_floating_point()), torch.zeros(1))
    channels, mean, std = _input_of(model)

    def normalized(view: Any) -> nn.Module:
        return Normalized(view, mean, std).to(like.device)

    output = _probe(normalized(model), size, channels, like)
    path = choose_output(output, rows=2)
    for step in path:
        output = output[step]
    logits = normalized(Chosen(model, path))
    bare, tokens = through(model, headless), through(model, token_map)
    inner = _inner(model)
    alignment = model.alignment if isinstance(model, AlignedModel) else None
    place = "".join(f"[{step!r}]" for step in path) or "the tensor"
    facts = facts | {
        "alignment": _alignment(model),
        "size": size,
        "channels": channels,
        "normalization": {"mean": list(mean), "std": list(std)},
        "output": f"{place} of shape {tuple(output.shape[1:])} for each image",
        "embedding": "the output" if bare is None else "features before the classifier",
        "tokens": "none" if tokens is None else "last map of forward_intermediates",
    }
    return Target(
        name=name,
        size=size,
        channels=channels,
        device=like.device,
        dtype=like.dtype,
        logits=logits,
        embed=logits if bare is None else normalized(bare),
        tokens=None if tokens is None else normalized(tokens),
        attending=inner,
        seen=normalized(nn.Identity() if alignment is None else alignment),
        unclassed=_unclassed(output, inner),
        facts=facts,
    )


def _unclassed(output: Tensor, model: Any) -> str:
    if output.ndim != 2:
        return f"outputs of shape {tuple(output.shape[1:])} for each image are no class scores"
    if getattr(model, "num_classes", None) == 0:
        return "the model has no classifier"
    if output.shape[1] < 2:
        return "a single number for each image is no choice among classes"
    return ""


def _alignment(model: Any) -> dict[str, Any] | None:
    if isinstance(model, AlignedModel):
        kind = "blur" if model.alignment is None else type(model.alignment).__name__
        return {"method": kind, "period": model.period, "period_source": model.period_source}
    own = getattr(model, "alignment", None) if isinstance(model, Backbone) else None
    if own is None:
        return None
    return {"method": type(own).__name__, "period": own.period, "period_source": "declared"}
