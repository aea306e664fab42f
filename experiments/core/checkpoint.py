"""Weights and optimiser state as one safetensors file: nothing is pickled."""

from __future__ import annotations

from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from experiments.core.records import write_bytes

__all__ = ["load_checkpoint", "load_weights", "save_checkpoint", "save_weights"]


def save_weights(path: Path, model: nn.Module) -> None:
    """The learned tensors, atomically."""
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def load_weights(path: Path, model: nn.Module) -> None:
    """What `save_weights` wrote."""
    model.load_state_dict(load_file(path))


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Weights and optimiser after `step` steps, atomically."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer.{names[parameter]}/{key}"] = torch.as_tensor(value)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(tensors, metadata={"step": str(step)}))


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restores what `save_checkpoint` wrote; returns the step."""
    with safetensors.safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
    tensors = load_file(path)
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.load_state_dict(weights)
    parameters = dict(model.named_parameters())
    state: dict[Tensor, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            parameter, _, key = name.removeprefix("optimizer.").partition("/")
            owner = parameters[parameter]
            # All of it by the weights, the step counter too: fused AdamW wants it there.
            state.setdefault(owner, {})[key] = tensor.to(owner.device)
    optimizer.state.update(state)
    return step
