"""Cache of tensors that depend on their key alone: filters, and matrices made of them.

A first call may come from anywhere: a tracer, fake tensors, `torch.func`, inference mode, another
default dtype or device. What is kept must serve every later call, so it is built outside of all of
them, as an ordinary tensor whose dtype and device the builder names.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from wavevit.wavelets._engine.torch_private import dispatch_modes, transforms_active, untraced

__all__ = ["remember"]

_REMEMBERED: dict[Hashable, Tensor] = {}
_MOST_REMEMBERED = 128


def remember(key: Hashable, build: Callable[[], Tensor]) -> Tensor:
    """What `build` returns, kept under `key` where any later call may use it.

    A fake tensor (shape propagation) and a tensor that a `torch.func` transform wraps belong to the
    context in which they were made: those are returned and not kept.
    """
    faking = dispatch_modes() > 0
    found = _REMEMBERED.get(key)
    if found is not None and not faking:
        return found
    with torch.inference_mode(False), torch.no_grad(), untraced():
        built = build()
    if type(built) is Tensor and not faking and not transforms_active():
        if len(_REMEMBERED) >= _MOST_REMEMBERED:
            _REMEMBERED.pop(next(iter(tuple(_REMEMBERED)), key), None)  # other threads do it too
        _REMEMBERED[key] = built
    return built
