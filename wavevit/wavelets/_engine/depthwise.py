"""Depthwise convolution of maps of tokens by a kernel, with a backward pass of its own.

torch pads a circular map in two copies of the whole, convolves in oneDNN, and does both again for
the gradient. The kernel reads neighbours where they are. Every derivative beyond the first, and
all of `torch.func`, goes through torch's operations, which the caller gives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.kernel_convolution import Convolver, Plain, convolved
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["depthwise"]

_KERNEL = "wavevit.wavelets._kernels.tokens_cpu"


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
    return convolved(_CONVOLVER, x, weight, bias, circular, plain)


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


def _runs(x: Tensor, weight: Tensor) -> bool:
    return _kernel(x) is not None


def _turned(weight: Tensor) -> Tensor:
    return weight.flip(-2, -1)


def _of_weight(x: Tensor, gradient: Tensor, weight: Tensor, circular: bool) -> Tensor:
    side = weight.shape[-1]
    taps: Tensor = _kernel(x).kernel_gradient(_last(x), _last(gradient), side, circular)
    return taps.t().reshape(weight.shape)


_CONVOLVER = Convolver(_runs, _forward, _turned, _of_weight)
