"""Observe one run of a model: which modules get the pictures, which layer makes the output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.auditing.calling import NARROW, Called, keyword_of
from wavevit.auditing.declared import UNCHANGED, Normalization, declared_normalization
from wavevit.auditing.outputs import at_path, choose_output, leaves
from wavevit.auditing.views import has_verbs, of_transformers
from wavevit.auditing.wrappers import inner_of
from wavevit.measure.evaluation import evaluation_mode, reachable
from wavevit.wavelets._engine.torch_private import compiler_is_imported

__all__ = ["Maker", "Refused", "Trace", "eager", "traced"]


class Refused(Exception):
    """What a model threw at its images; the cause holds it."""


@contextmanager
def eager() -> Iterator[None]:
    """What `torch.compile` made runs as it was written, so that hooks and counters see it."""
    # Without that module nothing was compiled, and it is slow to import.
    stance = torch.compiler.set_stance("force_eager") if compiler_is_imported() else None
    with stance or nullcontext():
        yield


@dataclass(frozen=True)
class Maker:
    """The linear layer that makes an output.

    Attributes:
        name: in the model.
        layer: the module.
        call: which of its calls in a run makes the output, from 0.
    """

    name: str
    layer: nn.Linear
    call: int


@dataclass(frozen=True)
class Trace:
    """What one run has shown.

    Attributes:
        path: of the chosen tensor in the output.
        normalization: that of the first module that declares one and got the images unchanged.
        core: the module whose output is the model's, also when it is called alone, and that has
            features and tokens to look at: timm's verbs, else transformers' hidden states; the
            model itself where there is none.
        last: the linear layer that makes the chosen tensor; None where something else does.
    """

    path: tuple[Any, ...]
    normalization: Normalization
    core: Any
    last: Maker | None


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
        """Whether it holds the first image: a model may take single ones, or add flipped ones."""
        if value.ndim != 4 or value.shape[1:] != self.images.shape[1:]:
            return False
        try:
            return bool((value == self.images[:1].to(value)).flatten(1).all(dim=1).any())
        except RuntimeError:  # inside of torch.vmap, where values cannot be read
            return False

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
    last = _maker(watch.linear, chosen, names)
    core = called.model
    made = dict(reversed(watch.whole))  # of several calls of a module the first
    for offers in (has_verbs, _of_transformers):
        if offers(called.model):
            break
        same = [m for m in modules if m in made and offers(m) and _reached(m, watch.unchanged)]
        ends = [(m, leaf) for m in same for _, leaf in leaves(made[m]) if _is(leaf, chosen)]
        if ends and _gives(ends[0][0], called, images, ends[0][1]):
            core = ends[0][0]
            break
    normalization = _normalization(modules, watch.unchanged)
    return output, Trace(path, normalization, core, last)


def _maker(
    calls: list[tuple[nn.Linear, Tensor]], chosen: Tensor, names: dict[nn.Module, str]
) -> Maker | None:
    for index, (layer, made) in reversed(list(enumerate(calls))):
        if _is(made, chosen):
            earlier = sum(other is layer for other, _ in calls[:index])
            return Maker(names.get(layer, type(layer).__name__), layer, earlier)
    return None


def _gives(module: nn.Module, called: Called, images: Tensor, made: Tensor) -> bool:
    """Whether a module gives what it has made in the model when it is called alone.

    It does not where what is around it changes more than its input: `torch.func.functional_call`,
    averaged weights that are put in for a call, an adapter that is switched off.
    """
    alone = Called(module, keyword_of(module), called.around)
    try:
        with torch.no_grad(), evaluation_mode(alone), eager():
            found = [leaf for _, leaf in leaves(alone(images.clone()))]
    except Exception:  # of somebody's model
        return False
    wanted, size = made.double(), float(made.double().norm())
    # torch.autocast around it is no other model: what it rounds may differ.
    close = 3e-2 if made.dtype in NARROW else 1e-4
    return any(
        isinstance(leaf, Tensor)
        and leaf.shape == made.shape
        and (_is(leaf, made) or float((leaf.double() - wanted).norm()) <= close * size)
        for leaf in found
    )


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
            f"none used: a wrapper changes the pictures before {type(module).__name__}, "
            f"which declares mean {list(declared.mean)} and std {list(declared.std)}"
        )
    if changed:
        return Normalization(UNCHANGED.mean, UNCHANGED.std, changed)
    if any(type(module).__module__.startswith("transformers.") for module in modules):
        words = "none declared (in transformers the image processor has it): pictures unchanged"
        return Normalization(UNCHANGED.mean, UNCHANGED.std, words)
    return UNCHANGED
