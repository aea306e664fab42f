"""Whether tensors are ordinary memory of the CPU that a kernel with its own gradient may read."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.wavelets._engine.kernel_choice import has_kernel
from wavevit.wavelets._engine.symbolic_shapes import exporting
from wavevit.wavelets._engine.torch_private import (
    dispatch_modes,
    forward_mode,
    is_ordinary,
    transforms_active,
)

__all__ = ["is_eager", "is_memory", "is_only_differentiated_backward"]


def is_eager(x: Tensor) -> bool:
    """Whether the call is eager, with reverse-mode autograd or none, on any device."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or dispatch_modes():
        return False
    return is_ordinary(x) and not exporting() and not forward_mode() and not transforms_active()


def is_memory(*tensors: Tensor) -> bool:
    """Whether a kernel may read all of them: on the CPU, not empty, no dispatch mode active."""
    first = tensors[0]
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or dispatch_modes():
        return False
    if not all(map(is_ordinary, tensors)):  # asked first: a proxy of torch.fx answers nothing else
        return False
    if first.device.type != "cpu" or not has_kernel(first):
        return False
    return all(
        x.dtype == first.dtype and x.device == first.device and x.numel() > 0 for x in tensors
    )


def is_only_differentiated_backward(*tensors: Tensor) -> bool:
    """Whether `is_memory`, and the only derivatives are those of autograd's backward pass.

    Neither forward mode nor a `torch.func` transform is active, so a `torch.autograd.Function` with
    only a backward pass is enough.
    """
    return is_memory(*tensors) and not forward_mode() and not transforms_active()
