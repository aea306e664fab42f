"""Checkpoint of a distillation: where a killed run resumes, to the bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from wavevit.checks import fail
from wavevit.files import write_whole

__all__ = ["State", "load_state", "save_state"]


@dataclass
class State:
    """Progress of a distillation.

    Attributes:
        steps: planned.
        before: R and cosine of the model before the training.
        done: steps that are done.
        seconds: that the steps took, over all calls.
        history: pairs of step and held-out loss.
        best_step: of the lowest held-out loss, or of the last evaluation without patience.
        best: the trained parameters of then, by name.
    """

    steps: int
    before: tuple[float, float] = (0.0, 0.0)
    done: int = 0
    seconds: float = 0.0
    history: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def save_state(
    path: Path,
    state: State,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any],
) -> None:
    """Writes parameters, optimiser and progress, atomically.

    Args:
        path: of the file.
        state: how far the distillation is.
        parameters: the trained ones, by name.
        optimizer: of these parameters.
        settings: what the result follows from; `load_state` refuses other ones.
    """
    tensors = {f"now.{name}": tensor.detach() for name, tensor in parameters.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}.{name}"] = torch.as_tensor(value)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    progress = {one.name: getattr(state, one.name) for one in fields(state) if one.name != "best"}
    metadata = {"progress": json.dumps(progress), "settings": json.dumps(settings)}
    write_whole(path, save(tensors, metadata=metadata))


def load_state(
    path: Path,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any],
) -> State:
    """Restores what `save_state` wrote.

    Raises:
        ValueError: a file of something else, or of a distillation with other settings.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
        progress, held = (json.loads(metadata[key]) for key in ("progress", "settings"))
    except (safetensors.SafetensorError, KeyError) as error:
        fail("checkpoint", "a checkpoint of a distillation, or no file", f"{path} ({error})")
    wanted = json.loads(json.dumps(settings))
    if wanted.keys() - held.keys():
        fail("checkpoint", "one of this version of wavevit", f"{path} of an earlier version")
    for key in sorted({*held, *wanted}):
        if held.get(key) != wanted.get(key):
            expected = f"a checkpoint of a distillation with {key}={wanted.get(key)!r}"
            fail("checkpoint", expected, f"{path} with {key}={held.get(key)!r}")
    kinds: dict[str, dict[str, Tensor]] = {}
    for entry, tensor in tensors.items():
        kind, _, name = entry.partition(".")
        kinds.setdefault(kind, {})[name] = tensor
    with torch.no_grad():
        for name, tensor in kinds.pop("now").items():
            parameters[name].copy_(tensor)
    best = {n: t.to(parameters[n].device) for n, t in kinds.pop("best").items()}
    for kind, values in kinds.items():
        for name, value in values.items():
            parameter = parameters[name]
            # AdamW keeps its step counter on the CPU unless it is fused.
            where = value if kind == "step" else value.to(parameter.device)
            optimizer.state[parameter][kind] = where
    progress["history"] = [(step, loss) for step, loss in progress["history"]]
    progress["before"] = tuple(progress["before"])
    return State(best=best, **progress)
