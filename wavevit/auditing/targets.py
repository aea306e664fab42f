"""Target of an audit: one model, and every view of it that a measure needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.alignment import AlignedModel, align
from wavevit.auditing.calling import Pictured
from wavevit.auditing.declared import given_normalization
from wavevit.auditing.examination import Examination
from wavevit.auditing.naming import SYNTAX, Named, model_of, split_method
from wavevit.auditing.outputs import Chosen, at_path, place_of
from wavevit.auditing.runtimes import as_callable
from wavevit.auditing.tracing import Maker
from wavevit.checks import check_at_least, fail
from wavevit.grafting import load_graft
from wavevit.models import Backbone

__all__ = ["Target", "make_target"]


@dataclass(frozen=True)
class Target:
    """One model under audit; its views take pictures (B, channels, size, size) in [0, 1].

    Attributes:
        name: in the report.
        size: side of its input in pixels.
        channels: of its input.
        device: where it is.
        dtype: of the pictures that it is shown: float64 for a model in float64, else float32.
        batch: the only number of images that it takes; None for any.
        logits: the whole model.
        timed: the model as it was given (compiled, where it is), for its time.
        embed: its pooled features; its output where no classifier can be taken off.
        tokens: its last map (B, D, h, w), or None.
        dense: its output where that is a map, else its tokens; or None.
        outputs_map: whether `dense` is the output.
        attending: where attention happens: the inner model of an aligned one.
        seen: pictures to the images that `attending` gets, but for their precision.
        unclassed: why `logits` are no class scores; empty if they are.
        opaque: why torch cannot see what the model does; empty if it can.
        last: the linear layer that makes its output, or None.
        modules: that are reached from it.
        facts: what the JSON says about it.
    """

    name: str
    size: int
    channels: int
    device: torch.device
    dtype: torch.dtype
    batch: int | None
    logits: Pictured
    timed: Pictured
    embed: Pictured
    tokens: Pictured | None
    dense: Pictured | None
    outputs_map: bool
    attending: Callable[[Tensor], Any]
    seen: Pictured
    unclassed: str
    opaque: str
    last: Maker | None
    modules: tuple[nn.Module, ...]
    facts: dict[str, Any]


def make_target(
    model: Any,
    *,
    name: str | None = None,
    graft: str | Path | None = None,
    size: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    pretrained: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Target:
    """Builds a model from its name, where it is one, and finds out how to look at it.

    Args:
        model: a MODEL string, a module (aligned, compiled or wrapped), a program of
            `torch.export`, a session of onnxruntime, or any callable.
        name: in the report; the string, or the class, by default.
        graft: a file of `wavevit.grafting.save_graft`, for a copy of the model with this graft.
        size: side of the input in pixels; by default what the model declares.
        channels: of the input; by default what the model declares, or takes.
        mean: of each channel (or one for all), in place of what the model declares.
        std: the same.
        pretrained: timm's weights instead of random ones.
        seed: of random weights.
        device: where to move the model; by default it stays where it is.

    Returns:
        A `Target`. The model itself is left as it was, but for its device.

    Raises:
        ImportError: what reads the model is not installed; the message names the extra.
        ValueError: a string that names no model, no size, a size that the model refuses, an
            output with nothing to look at; or whatever the model says to noise pictures.
    """
    normalization = given_normalization(mean, std)
    if size is not None:
        check_at_least("size", size, 8)
    if channels is not None:
        check_at_least("channels", channels, 1)
    named = Named(model, "object", "as given")
    method = None
    if isinstance(model, str):
        name = name or model
        base, method = split_method(model)
        named = model_of(base, pretrained=pretrained, size=size, seed=seed)
        named = Named(named.model, model, named.weights, named.around)
    if isinstance(named.model, type):
        kind = named.model.__name__
        fail("model", f"a model, such as {kind}(…)", f"the class {kind}")
    name = name or type(model).__name__
    model = as_callable(named.model)
    if graft is not None:
        model = load_graft(graft, model)
    if not callable(model):
        fail("model", f"a module, a callable, or {SYNTAX}", type(model).__name__)
    if device is not None and isinstance(model, nn.Module):
        model = model.to(device)
    if method is not None:
        model = _aligned(model, method, size, channels, named)
    return _target(Examination(model, named, size, channels, normalization), name)


def _aligned(
    model: Any, method: str, size: int | None, channels: int | None, named: Named
) -> AlignedModel:
    found = Examination(model, named, size, channels, None)
    module = model if isinstance(model, nn.Module) else Chosen(model, ())
    shape = (found.channels, found.size, found.size)
    with named.around():
        return align(module.eval(), method, input_size=shape)


def _target(found: Examination, name: str) -> Target:
    trace, output = found.probe.trace, at_path(found.probe.output, found.probe.trace.path)
    alignment = found.model.alignment if isinstance(found.model, AlignedModel) else None
    logits = found.view(Chosen(found.called(found.model), trace.path))
    timed = logits
    if found.given is not found.model:
        timed = found.view(Chosen(found.called(found.given), trace.path))
    bare, embedding = found.embedding(output)
    tokens, token_source = found.tokens(output)
    dense = Chosen(found.called(found.model), trace.path) if output.ndim == 4 else tokens
    last = trace.last if output.ndim == 2 else None
    opaque = next((str(m.opaque) for m in found.modules if hasattr(m, "opaque")), "")
    norm = found.normalization
    facts: dict[str, Any] = {
        "source": found.named.source,
        "weights": found.named.weights,
        "wrappers": list(found.wrappers),
        "alignment": _alignment(found.model) or _alignment(trace.core),
        "size": found.size,
        "size_source": found.size_source,
        "channels": found.channels,
        "channels_source": found.channels_source,
        "normalization": {"mean": list(norm.mean), "std": list(norm.std)},
        "normalization_source": norm.source,
        "precision": str(found.images.dtype).removeprefix("torch."),
        "output": f"{place_of(trace.path) or 'the tensor'} of shape {tuple(output.shape[1:])} "
        "for each image",
        "embedding": embedding,
        "tokens": token_source,
        "notes": found.notes(),
    }
    wide = found.images.dtype is torch.float64
    return Target(
        name=name,
        size=found.size,
        channels=found.channels,
        device=found.images.device,
        dtype=torch.float64 if wide else torch.float32,
        batch=found.probe.batch,
        logits=logits,
        timed=timed,
        embed=logits if bare is None else found.view(bare),
        tokens=None if tokens is None else found.view(tokens),
        dense=None if dense is None else found.view(dense),
        outputs_map=output.ndim == 4,
        attending=found.called(found.inner).plainly(),
        seen=found.view(nn.Identity() if alignment is None else alignment),
        unclassed=found.unclassed(output),
        opaque=opaque,
        last=last,
        modules=found.modules,
        facts=facts,
    )


def _alignment(model: Any) -> dict[str, Any] | None:
    if isinstance(model, AlignedModel):
        kind = "blur" if model.alignment is None else type(model.alignment).__name__
        return {"method": kind, "period": model.period, "period_source": model.period_source}
    own = getattr(model, "alignment", None) if isinstance(model, Backbone) else None
    if own is None:
        return None
    return {"method": type(own).__name__, "period": own.period, "period_source": "declared"}
