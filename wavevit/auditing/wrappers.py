"""Find the model inside wrappers, and the modules that a callable uses."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel

from wavevit.alignment import AlignedModel
from wavevit.wavelets._engine.torch_private import compiled_from

__all__ = ["inner_of", "peel", "reachable"]

_HOLDERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)
_DEEPEST = 3  # a partial of a lambda around a model; further nesting is not searched


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


def reachable(model: Any) -> list[nn.Module]:
    """All modules that a callable can be seen to hold, outermost first, each once.

    Of a module its parts; of a method its object; of a function what it closes over, its defaults
    and the globals that it names; of a `functools.partial` the function and its arguments; of
    another object its attributes.
    """
    found = {part: None for root in _roots(model, _DEEPEST) for part in root.modules()}
    return list(found)


def _roots(value: Any, depth: int) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module):
        yield value
        return
    if depth:
        for held in _held(value):
            yield from _roots(held, depth - 1)


def _held(value: Any) -> list[Any]:
    if inspect.ismethod(value):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        names = value.__code__.co_names
        named = [value.__globals__[name] for name in names if name in value.__globals__]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *named]
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, type | types.ModuleType) or not callable(value):
        return []
    return list(getattr(value, "__dict__", {}).values())


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is not bound yet
        return False
