"""Convolution of images of few channels by a kernel, with a backward pass of its own.

torch pads a circular image in two copies of the whole, and oneDNN sorts the channels of a plane
before it multiplies. With few channels both take longer than the sums.
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

__all__ = ["convolution"]

_KERNEL = "wavevit.wavelets._kernels.convolve_cpu"
_MOST_CHANNELS = 12  # of images and results; oneDNN's blocks of 16 are as fast for gradients
Plain = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool, plain: Plain
) -> Tensor:
    """Images (B, C, H, W), convolved at stride 1 to (B, O, H, W); by `plain` where no kernel runs.

    Args:
        x: images.
        weight: (O, C, k, k), k odd.
        bias: (O,).
        circular: borders; otherwise zeros.
        plain: the same in torch's operations, of all three tensors.
    """
    tensors = [part for part in (x, weight, bias) if part is not None]
    if not is_only_differentiated_backward(*tensors) or torch.is_autocast_enabled("cpu"):
        return plain(x, weight, bias)
    if max(weight.shape[:2]) > _MOST_CHANNELS or _kernel(x) is None:
        return plain(x, weight, bias)
    if is_derived(*tensors):
        return _Convolution.apply(x, weight, bias, circular, plain)
    return _forward(x, weight, bias, circular)


def _kernel(x: Tensor) -> Any:
    return kernels_for(x, _KERNEL, "Convolutions run")


def _packed(x: Tensor) -> Tensor:
    return x.resolve_neg().contiguous()


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool) -> Tensor:
    taps = weight.flatten(1)
    if bias is not None:
        taps = torch.cat([taps, bias[:, None]], dim=1)
    result = room(x, (len(x), len(weight), *x.shape[2:]))
    _kernel(x).convolve(_packed(x), _packed(taps), weight.shape[-1], circular, result)
    return result


class _Convolution(torch.autograd.Function):
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
        of_x = of_weight = of_bias = None
        if needed[0]:
            turned = weight.flip(-2, -1).transpose(0, 1)
            of_x = _forward(gradient, turned, None, ctx.circular)
        if needed[1]:
            side = weight.shape[-1]
            taps = _kernel(x).kernel_gradient(_packed(x), _packed(gradient), side, ctx.circular)
            of_weight = taps.view(weight.shape)
        if needed[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_x, of_weight, of_bias, None, None
