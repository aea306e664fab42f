"""Weights and optimiser state as one safetensors file: nothing is pickled.

With several ranks the file is the same: rank 0 writes it, and any number of ranks reads it. Where
`fully_shard` has spread the tensors, they are gathered one by one, so that rank 0 needs memory on
the CPU for two copies of the file, and every other rank for its own part and one tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from experiments.core.distributed import placed_like, whole
from wavevit.checks import fail
from wavevit.files import write_whole
from wavevit.tasks.gathering import rank_and_world

__all__ = ["load_checkpoint", "load_weights", "save_checkpoint", "save_weights"]

_MODEL, _OPTIMIZER, _AVERAGE = "model.", "optimizer.", "average."


def save_weights(path: Path, model: nn.Module) -> None:
    """The learned tensors, atomically; with several ranks, call it on all of them."""
    _write(path, iter(model.state_dict().items()))


def load_weights(path: Path, model: nn.Module) -> None:
    """What `save_weights` wrote."""
    model.load_state_dict(load_file(path))


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    average: nn.Module | None = None,
) -> None:
    """Weights and optimiser after `step` steps, atomically; with several ranks, call it on all.

    Args:
        path: of the file.
        model: names the parameters.
        optimizer: of the model.
        step: steps done.
        average: a module with the moving average of the model's weights, if there is one.
    """
    _write(path, _state(model, optimizer, average), {"step": str(step)})


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None = None,
) -> int:
    """Restores what `save_checkpoint` wrote, on any number of ranks; returns the step.

    Raises:
        ValueError: the file has no average of the weights, and one is asked for.
    """
    with safetensors.safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        names = list(file.keys())
        modules = {_MODEL: model} if average is None else {_MODEL: model, _AVERAGE: average}
        for prefix, module in modules.items():
            held = module.state_dict()
            own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
            if not own:
                fail("checkpoint", "an average of the weights", f"none in {path}")
            tensors = ((name, file.get_tensor(prefix + name)) for name in own)
            module.load_state_dict(
                {name: placed_like(x, held[name]) if name in held else x for name, x in tensors}
            )
        parameters = dict(model.named_parameters())
        state: dict[Tensor, dict[str, Tensor]] = {}
        for name in names:
            if name.startswith(_OPTIMIZER):
                parameter, _, key = name.removeprefix(_OPTIMIZER).partition("/")
                owner = parameters[parameter]
                # All of it by the weights, the step counter too: fused AdamW wants it there.
                value = placed_like(file.get_tensor(name), owner)
                state.setdefault(owner, {})[key] = value
    optimizer.state.update(state)
    return step


def _state(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None
) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        yield f"{_MODEL}{name}", tensor
    names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            yield f"{_OPTIMIZER}{names[parameter]}/{key}", torch.as_tensor(value)
    for name, tensor in average.state_dict().items() if average is not None else ():
        yield f"{_AVERAGE}{name}", tensor


def _write(
    path: Path, tensors: Iterator[tuple[str, Tensor]], metadata: dict[str, str] | None = None
) -> None:
    """Writes named tensors on rank 0; every rank gives its parts of them."""
    writes = rank_and_world()[0] == 0
    kept = {}
    for name, tensor in tensors:
        full = whole(tensor)
        if writes:
            kept[name] = full.cpu().contiguous()
    if writes:
        write_whole(path, save(kept, metadata=metadata))
