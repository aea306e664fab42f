"""Tensors that depend on their key alone, built once: filters, and the matrices made of them.

A first call may come from anywhere: a tracer, fake tensors, `torch.func`, inference mode, another
default dtype or device. What is kept must serve every later call, so it is built outside of all of
them, as an ordinary tensor whose dtype and device the builder names.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["remember", "untraced"]

_REMEMBERED: dict[Hashable, Tensor] = {}
_MOST_REMEMBERED = 128


def remember(key: Hashable, build: Callable[[], Tensor]) -> Tensor:
    """What `build` returns, kept under `key` where any later call may use it.

    A fake tensor (shape propagation) and a tensor that a `torch.func` transform wraps belong to the
    context in which they were made: those are returned and not kept.
    """
    # Neither stack has a public reader; both names have been stable since torch 2.0.
    faking = torch._C._len_torch_dispatch_stack() > 0
    found = _REMEMBERED.get(key)
    if found is not None and not faking:
        return found
    with torch.inference_mode(False), torch.no_grad(), untraced():
        built = build()
    transforming = torch._C._functorch.peek_interpreter_stack() is not None
    if type(built) is Tensor and not faking and not transforming:
        if len(_REMEMBERED) >= _MOST_REMEMBERED:
            _REMEMBERED.pop(next(iter(tuple(_REMEMBERED)), key), None)  # other threads do it too
        _REMEMBERED[key] = built
    return built


@contextmanager
def untraced() -> Iterator[None]:
    """Hides what happens inside from `torch.jit.trace`, which then sees its results as constants.

    A trace runs the function again to check itself. What is built at the first run and found at the
    second must therefore leave the same graph.
    """
    state = torch._C._get_tracing_state()
    if state is None:
        yield
        return
    # It has no stub; `torch.nn.Module` reads the state under the name above.
    resume = torch._C._set_tracing_state  # type: ignore[attr-defined]
    resume(None)
    try:
        yield
    finally:
        resume(state)
