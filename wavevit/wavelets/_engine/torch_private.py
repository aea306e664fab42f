"""Private names of torch: every use in wavevit is here, each with what happens without it.

torch may rename or remove such a name in any release. Each entry says what it asks and what takes
its place where torch lacks it: a public name, or the answer that is slower and always right.
`tests/test_torch_private.py` holds that no other file uses a private name of torch, and that the
transforms are right without any of these. Names without which nothing could be measured
(`TorchDispatchMode`, `tree_leaves`) or loaded are used as they are: their loss is an error here.

These functions are called at every transform, so most are the C functions themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = [
    "TorchDispatchMode",
    "child",
    "compiled_from",
    "compiler_is_imported",
    "dispatch_modes",
    "exporting_flag",
    "fft_operators",
    "forward_mode",
    "has_forward_hooks",
    "has_hooks",
    "is_derived",
    "is_ordinary",
    "jit_tracing",
    "load_own_tensors",
    "mark_constant",
    "notes_of",
    "pre_hooks",
    "save_own_tensors",
    "storage_key",
    "transforms_active",
    "tree_leaves",
    "untraced",
]


def _always(*_: Any) -> bool:
    return True


def _never(*_: Any) -> bool:
    return False


# Whether a transform of torch.func (grad, vmap, jvp, …) is at work. Without it: yes, so that every
# map goes through autograd, and a compiler gets plain operations.
transforms_active: Callable[[], bool]
transforms_active = getattr(torch._C, "_are_functorch_transforms_active", _always)

# How many dispatch modes (fake tensors, counters) look on. Without it: one, so that every map goes
# through the dispatcher, and no tensor is kept for a later call.
dispatch_modes: Callable[[], int]
dispatch_modes = getattr(torch._C, "_len_torch_dispatch_stack", _always)

# Whether torch.jit.trace is at work. Without it: torch.jit.is_tracing, which asks twice.
jit_tracing: Callable[[], bool] = getattr(torch._C, "_is_tracing", torch.jit.is_tracing)

_functorch = getattr(torch._C, "_functorch", None)
# Whether the older vmap of torch.autograd.functional wraps a tensor. Without it: no; it is gone.
_is_legacy_batched = getattr(_functorch, "is_legacy_batchedtensor", _never)
# Whether torch.func.functionalize wraps a tensor. Without it: wherever a transform is at work.
_is_functional = getattr(torch, "_is_functional_tensor", lambda _: transforms_active())

_get_trace = getattr(torch._C, "_get_tracing_state", None)
_set_trace = getattr(torch._C, "_set_tracing_state", None)

# `torch.compiler.is_exporting` says True inside every ``torch.compile`` up to torch 2.11
# (github.com/pytorch/pytorch/issues/176347), and compiled code would take the slow operations; the
# flag that it reads is right. Releases before 2.7 have no flag and don't tell an export from a
# compilation: both then get what an export needs.
if hasattr(torch.compiler, "_is_exporting_flag"):

    def exporting_flag() -> bool:
        """Whether `torch.export` or `torch.onnx` makes a graph."""
        return torch.compiler._is_exporting_flag
else:
    exporting_flag = torch.compiler.is_compiling


def forward_mode() -> bool:
    """Whether a level of forward mode is open. Without torch's private counter: always."""
    return getattr(forward_ad, "_current_level", 0) >= 0


def is_derived(*tensors: Tensor) -> bool:
    """Whether a derivative of what these tensors give may be asked for, or a vmap is at work.

    A level of forward mode stays open as long as there are dual numbers.
    """
    if transforms_active() or forward_mode():
        return True
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)


def is_ordinary(x: Tensor) -> bool:
    """Whether a Function or an operator of ours may see this tensor.

    No subclass; none of the older vmap's, which `torch.autograd.functional` still uses and which
    takes no rule for an operator; none of ``torch.func.functionalize``, which takes no Function.
    """
    if type(x) not in (Tensor, torch.nn.Parameter):
        return False
    return not (_is_legacy_batched(x) or _is_functional(x))


@contextmanager
def untraced() -> Iterator[None]:
    """Hides what happens inside from `torch.jit.trace`, which then sees its results as constants.

    A trace runs the function again to check itself. What is built at the first run and found at the
    second must therefore leave the same graph. Without the private names nothing is hidden, and
    `torch.jit.trace` complains of different graphs where a first call is traced.
    """
    state = None if _get_trace is None or _set_trace is None else _get_trace()
    if state is None:
        yield
        return
    assert _set_trace is not None
    _set_trace(None)
    try:
        yield
    finally:
        _set_trace(state)


def mark_constant(function: Callable[..., Any]) -> None:
    """Lets `torch.compile` run `function` instead of tracing it, and keep what it returns.

    This is the mark that `torch.compiler.assume_constant_result` sets; the decorator itself would
    import the whole compiler, a second or so. Where torch reads another mark, the function is
    traced: its result is the same, and a graph may break there.
    """
    setattr(function, "_dynamo_marked_constant", True)  # noqa: B010


def compiler_is_imported() -> bool:
    """Whether the module of `torch.compile` has been imported; it is slow to import."""
    return "torch._dynamo" in sys.modules


def compiled_from(model: Any) -> Any:
    """What `torch.compile` made `model` from; None where it is no result of `torch.compile`.

    Without the private names a compiled model counts as an ordinary one.
    """
    if isinstance(model, torch.nn.Module):
        # By name: the class lives in a module that is slow to import.
        compiled = type(model).__module__.startswith("torch._dynamo.")
        return getattr(model, "_orig_mod", None) if compiled else None
    return getattr(model, "_torchdynamo_orig_callable", None)


def child(module: torch.nn.Module, name: str) -> Any:
    """The submodule of that name; None if there is none, also before ``Module.__init__``."""
    return vars(module).get("_modules", {}).get(name)


def load_own_tensors(module: torch.nn.Module, *arguments: Any) -> None:
    """What `torch.nn.Module` does to load a module's own tensors, without its submodules."""
    torch.nn.Module._load_from_state_dict(module, *arguments)


def save_own_tensors(module: torch.nn.Module, *arguments: Any) -> None:
    """What `torch.nn.Module` does to save a module's own tensors, without its submodules."""
    torch.nn.Module._save_to_state_dict(module, *arguments)


def notes_of(state_dict: Any, name: str) -> dict[str, Any]:
    """What a state dict says of the module `name` beside its tensors; written where it can be.

    `torch.save` keeps it; files of safetensors and dicts of tensors don't. Without torch's
    attribute: nothing.
    """
    notes: dict[str, Any] = getattr(state_dict, "_metadata", {}).get(name, {})
    return notes


def has_forward_hooks(module: torch.nn.Module) -> bool:
    """Whether a forward hook may change what `module` gives. Without its lists of hooks: no."""
    lists = ("_forward_hooks", "_forward_pre_hooks")
    return any(getattr(module, hooks, None) for hooks in lists)


def pre_hooks(module: torch.nn.Module) -> list[Any]:
    """The forward pre-hooks of `module`. Without torch's list: none."""
    return list(getattr(module, "_forward_pre_hooks", {}).values())


def has_hooks(module: torch.nn.Module) -> bool:
    """Whether a hook, forward or backward, expects a call of `module`. Without its lists: no."""
    lists = ("_backward_hooks", "_backward_pre_hooks")
    return has_forward_hooks(module) or any(getattr(module, hooks, None) for hooks in lists)


def storage_key(storage: torch.UntypedStorage) -> int:
    """A number that two tensors share if they share their memory, on every device."""
    return storage._cdata


def fft_operators() -> list[Any]:
    """The operators behind `torch.fft`, real to complex and so on, of which this torch has."""
    names = ("_fft_r2c", "_fft_c2r", "_fft_c2c")
    return [getattr(torch.ops.aten, name) for name in names if hasattr(torch.ops.aten, name)]
