"""Find the model inside wrappers."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel

from wavevit.alignment import AlignedModel
from wavevit.wavelets._engine.torch_private import compiled_from

__all__ = ["inner_of", "peel"]

_HOLDERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def peel(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The model inside wrappers that compute exactly what it computes, and their names.

    These are `torch.compile`, `DataParallel`, `DistributedDataParallel`, `AveragedModel`, and the
    ``forward`` or ``__call__`` of a module taken as a function.
    """
    names: list[str] = []
    while True:
        inner = _inside(model)
        if inner is None:
            return model, tuple(names)
        if not inspect.ismethod(model):
            names.append(_name(model))
        model = inner


def _inside(model: Any) -> Any:
    if isinstance(model, _HOLDERS):
        return model.module
    if inspect.ismethod(model) and isinstance(model.__self__, nn.Module):
        return model.__self__ if model.__name__ in ("forward", "__call__") else None
    return compiled_from(model)


def _name(model: Any) -> str:
    return type(model).__name__ if isinstance(model, nn.Module) else "torch.compile"


def inner_of(model: Any) -> Any:
    """The model that is called for images as they are: inside wrappers and alignments."""
    model = peel(model)[0]
    return inner_of(model.model) if isinstance(model, AlignedModel) else model
