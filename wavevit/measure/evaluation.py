"""Run a callable on many images: in batches, in eval mode, without gradients."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wavevit.checks import check_at_least, check_callable, check_real, fail

__all__ = ["Model", "evaluation_mode", "in_batches", "plain_attention", "reachable"]

Model = Callable[[Tensor], Tensor]

_DEEPEST = 3  # a partial of a lambda around a model; further nesting is not searched
_PLAIN = (Tensor, str, bytes, int, float, complex, type(None), type, types.ModuleType)


def reachable(model: Any) -> list[nn.Module]:
    """All modules that a callable can be seen to hold, outermost first, each once.

    Of a module its parts; of a method its object; of a function what it closes over, its defaults
    and the globals that it or a function inside it names; of a `functools.partial` the function
    and its arguments; of another object its attributes.
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
        named = [
            value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__
        ]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *named]
    if isinstance(value, _PLAIN):
        return []
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        value = getattr(value, "__dict__", {}).values()
    return [one for one in value if not isinstance(one, _PLAIN)]  # a list may hold many numbers


def _names(code: types.CodeType) -> list[str]:
    """Globals and attributes that a function names; a comprehension in it has code of its own."""
    inner = [_names(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return [*code.co_names, *(name for names in inner for name in names)]


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is not bound yet
        return False


def _switched(model: Any) -> list[nn.Module]:
    """Modules that run when `model` does: `reachable` ones, and those of functions they hold."""
    waiting = reachable(model)
    found = dict.fromkeys(waiting)
    while waiting:
        module = waiting.pop()
        functions = [held for held in vars(module).values() if _is_function(held)]
        new = [part for held in functions for part in reachable(held) if part not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def _is_function(value: Any) -> bool:
    return isinstance(value, types.FunctionType | types.MethodType | functools.partial)


@contextmanager
def evaluation_mode(model: Model) -> Iterator[None]:
    """Switches a module and its submodules to eval mode, and afterwards back.

    Of a method, a function (a lambda too) or a `functools.partial` the modules that it can be seen
    to hold are switched (`reachable`): dropout would otherwise change every figure of it.

    A graph of `torch.export` has only the mode that it was exported in and raises an error for
    ``eval()``: it is not switched, the modules around it are.
    """
    # A frozen TorchScript module has no such attribute.
    training = {module: getattr(module, "training", None) for module in _switched(model)}
    try:
        for module in training:
            if getattr(module, "training", False):  # else what is around it has switched it
                try:
                    module.eval()
                except NotImplementedError:
                    module.training = False
        yield
    finally:
        for module, mode in training.items():
            if mode is not None:
                module.training = mode


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention as the products that it is made of.

    Fused attention has no forward-mode derivative on the CPU, is not seen by torch's counter, and
    does not give its weights. This holds for `scaled_dot_product_attention` and for the fast path
    of `nn.MultiheadAttention`.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def in_batches(model: Model, images: Tensor, batch_size: int) -> Tensor:
    """`model` of all images, (B, …) floating, without gradients.

    Raises:
        ValueError: no callable, no batch of images, a batch below one image, or a model that
            returns something else than one finite, real tensor of B rows.
    """
    check_callable("model", model)
    check_at_least("batch_size", batch_size, 1)
    if not isinstance(images, Tensor) or not images.ndim or not len(images):
        got = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images)
        fail("images", "a tensor with at least one image", got)
    outputs = []
    with torch.no_grad(), evaluation_mode(model):
        for batch in images.split(batch_size):
            output = model(batch)
            if not isinstance(output, Tensor):
                expected = "a callable that returns one tensor (wrap it to choose an output)"
                fail("model", expected, type(output).__name__)
            if output.ndim < 1 or output.shape[0] != batch.shape[0]:
                fail(
                    "model", f"an output with {batch.shape[0]} rows", f"shape {tuple(output.shape)}"
                )
            check_real("model", output)
            wrong = int((~torch.isfinite(output)).flatten(1).any(dim=1).sum())
            if wrong:
                got = f"NaN or infinity for {wrong} of {len(batch)} images"
                fail("model", "finite outputs", got)
            outputs.append(output)
    return torch.cat(outputs)
