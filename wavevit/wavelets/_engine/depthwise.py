"""Depthwise convolution of maps of tokens by a kernel, with a backward pass of its own.

torch pads a circular map in two copies of the whole, convolves in oneDNN, and does both again for
the gradient. The kernel reads neighbours where they are. Every derivative beyond the first, and
all of `torch.func`, goes through torch's operations, which the caller gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wavevit.wavelets._engine.eager import is_only_differentiated_backward
from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.plain_gradients import plain_gradients
from wavevit.wavelets._engine.torch_private import is_derived
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["depthwise"]

_KERNEL = "wavevit.wavelets._kernels.tokens_cpu"
Plain = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def depthwise(
    x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool, plain: Plain
) -> Tensor:
    """Maps (B, C, h, w), convolved at stride 1, channels last in memory; by `plain` elsewhere.

    Args:
        x: maps, of any layout.
        weight: (C, 1, k, k), k odd.
        bias: (C,).
        circular: borders; otherwise zeros.
        plain: the same in torch's operations, of all three tensors.
    """
    tensors = [part for part in (x, weight, bias) if part is not None]
    if not is_only_differentiated_backward(*tensors) or torch.is_autocast_enabled("cpu"):
        return plain(x, weight, bias)
    if kernels_for(x, _KERNEL, "Depthwise convolutions run") is None:
        return plain(x, weight, bias)
    if is_derived(*tensors):
        return _Depthwise.apply(x, weight, bias, circular, plain)
    return _forward(x, weight, bias, circular)


def _last(x: Tensor) -> Tensor:
    """Maps (B, C, h, w) as contiguous (B, h, w, C)."""
    return x.permute(0, 2, 3, 1).resolve_neg().contiguous()


def _taps(weight: Tensor) -> Tensor:
    """(C, 1, k, k) as (k², C)."""
    return weight.flatten(1).t()


def _kernel(x: Tensor) -> Any:
    return kernels_for(x, _KERNEL, "Depthwise convolutions run")


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool) -> Tensor:
    maps, taps = _last(x), _taps(weight)
    if bias is not None:
        taps = torch.cat([taps, bias[None]])
    result = room(maps, maps.shape)
    side = weight.shape[-1]
    _kernel(x).convolve(maps, taps.contiguous(), side, circular, result)
    return result.permute(0, 3, 1, 2)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool, plain: Plain
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.circular, ctx.plain = circular, plain
        return _forward(x, weight, bias, circular)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled() or not is_only_differentiated_backward(x, weight, gradient):
            return *plain_gradients(ctx.plain, (x, weight, bias), needed, gradient), None, None
        given = _last(gradient)
        of_x = of_weight = of_bias = None
        if needed[0]:
            of_x = _forward(gradient, weight.flip(-2, -1), None, ctx.circular)
        if needed[1]:
            taps = _kernel(x).kernel_gradient(_last(x), given, weight.shape[-1], ctx.circular)
            of_weight = taps.t().reshape(weight.shape)
        if needed[2]:
            of_bias = given.sum((0, 1, 2))
        return of_x, of_weight, of_bias, None, None
