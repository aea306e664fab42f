"""One run of a model that is watched: who gets the pictures unchanged, who makes the output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.auditing.calling import Called
from wavevit.auditing.declared import UNCHANGED, Normalization, declared_normalization
from wavevit.auditing.outputs import at_path, choose_output, leaves
from wavevit.auditing.views import has_verbs, of_transformers
from wavevit.auditing.wrappers import inner_of, reachable
from wavevit.measure.evaluation import evaluation_mode

__all__ = ["Refused", "Trace", "eager", "traced"]


class Refused(Exception):
    """What a model threw at its images; the cause holds it."""


@contextmanager
def eager() -> Iterator[None]:
    """What `torch.compile` made runs as it was written, so that hooks and counters see it."""
    # Without that module nothing was compiled, and it is slow to import.
    stance = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else None
    with stance or nullcontext():
        yield


@dataclass(frozen=True)
class Trace:
    """What one run has shown.

    Attributes:
        path: of the chosen tensor in the output.
        normalization: that of the first module that declares one and got the images unchanged.
        core: the module whose output is the model's, and that has features and tokens to look at:
            timm's verbs, else transformers' hidden states; the model itself where there is none.
        last: name and module of the linear layer that makes the chosen tensor; None where
            something else does.
    """

    path: tuple[Any, ...]
    normalization: Normalization
    core: Any
    last: tuple[str, nn.Linear] | None


class _Watch:
    """Hooks on all modules that a callable reaches."""

    def __init__(self, modules: list[nn.Module], images: Tensor) -> None:
        self.images = images
        self.unchanged: dict[nn.Module, None] = {}
        self.linear: list[tuple[nn.Linear, Tensor]] = []
        self.whole: list[tuple[nn.Module, Any]] = []
        self.handles: list[Any] = []
        for module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                continue
            self.handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
            if isinstance(module, nn.Linear) or _offers(module):
                self.handles.append(module.register_forward_hook(self._after))

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [*args, *kwargs.values()]
        if any(isinstance(value, Tensor) and self._same(value) for value in given):
            self.unchanged[module] = None

    def _same(self, value: Tensor) -> bool:
        if value.shape != self.images.shape:
            return False
        return bool((value == self.images.to(value.dtype)).all())

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(module, nn.Linear):
            self.linear.append((module, output))
        else:
            self.whole.append((module, output))

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def traced(called: Called, images: Tensor) -> tuple[Any, Trace]:
    """Runs a model without gradients and watches it.

    Args:
        called: the model.
        images: (B, C, H, W) as the model takes them.

    Returns:
        Its output, and what was seen.

    Raises:
        Refused: the model threw something.
        ValueError: its output holds nothing to look at.
    """
    modules = reachable(called.model)
    watch = _Watch(modules, images)
    try:
        with torch.no_grad(), evaluation_mode(called), eager():
            output = called(images.clone())  # a model may write into its input
    except (Exception, SystemExit) as error:  # whatever somebody's model throws
        raise Refused from error
    finally:
        watch.remove()
    path = choose_output(output, rows=len(images))
    chosen = at_path(output, path)
    names = _names(called.model)
    last = next((m for m, made in reversed(watch.linear) if _is(made, chosen)), None)
    core = called.model
    made = dict(reversed(watch.whole))  # of several calls of a module the first
    for offers in (has_verbs, _of_transformers):
        if offers(called.model):
            break
        same = [m for m in modules if m in made and offers(m) and _reached(m, watch.unchanged)]
        found = [m for m in same if any(_is(leaf, chosen) for _, leaf in leaves(made[m]))]
        if found:
            core = found[0]
            break
    normalization = _normalization(modules, watch.unchanged)
    layer = None if last is None else (names.get(last, type(last).__name__), last)
    return output, Trace(path, normalization, core, layer)


def _of_transformers(model: Any) -> bool:
    return of_transformers(inner_of(model))


def _offers(model: Any) -> bool:
    return has_verbs(model) or _of_transformers(model)


def _names(model: Any) -> dict[nn.Module, str]:
    roots = [model] if isinstance(model, nn.Module) else reachable(model)
    return {part: name for root in reversed(roots) for name, part in root.named_modules() if name}


def _is(made: Any, chosen: Tensor) -> bool:
    """Whether a tensor is the chosen one, or has its values: a model may copy what it returns."""
    if made is chosen:
        return True
    if not isinstance(made, Tensor) or made.shape != chosen.shape:
        return False
    return bool(((made == chosen) | (made.isnan() & chosen.isnan())).all())


def _reached(module: nn.Module, unchanged: dict[nn.Module, None]) -> bool:
    """Whether a module or its first part got the images as they were given.

    A model may be used by another method than ``forward``, whose hooks do not fire: its stem's do.
    """
    return any(part in unchanged for part in module.modules())


def _normalization(modules: list[nn.Module], unchanged: dict[nn.Module, None]) -> Normalization:
    changed = ""
    for module in modules:
        declared = declared_normalization(module)
        if declared is None:
            continue
        if _reached(module, unchanged):
            return declared
        changed = changed or (
            f"none used: the pictures are changed before they reach {type(module).__name__}, "
            f"which declares mean {list(declared.mean)} and std {list(declared.std)}"
        )
    if changed:
        return Normalization(UNCHANGED.mean, UNCHANGED.std, changed)
    if any(type(module).__module__.startswith("transformers.") for module in modules):
        words = "none declared (transformers keeps it in the image processor): pictures as they are"
        return Normalization(UNCHANGED.mean, UNCHANGED.std, words)
    return UNCHANGED
