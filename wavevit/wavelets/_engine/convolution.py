"""Convolution of images of few channels by a kernel, with a backward pass of its own.

torch pads a circular image in two copies of the whole, and oneDNN sorts the channels of a plane
before it multiplies. With few channels both take longer than the sums.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.kernel_convolution import Convolver, Plain, convolved
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["convolution"]

_KERNEL = "wavevit.wavelets._kernels.convolve_cpu"
_MOST_CHANNELS = 12  # of images and results; oneDNN's blocks of 16 are as fast for gradients


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
    return convolved(_CONVOLVER, x, weight, bias, circular, plain)


def _kernel(x: Tensor) -> Any:
    return kernels_for(x, _KERNEL, "Convolutions run")


def _runs(x: Tensor, weight: Tensor) -> bool:
    return max(weight.shape[:2]) <= _MOST_CHANNELS and _kernel(x) is not None


def _packed(x: Tensor) -> Tensor:
    return x.resolve_neg().contiguous()


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, circular: bool) -> Tensor:
    taps = weight.flatten(1)
    if bias is not None:
        taps = torch.cat([taps, bias[:, None]], dim=1)
    result = room(x, (len(x), len(weight), *x.shape[2:]))
    _kernel(x).convolve(_packed(x), _packed(taps), weight.shape[-1], circular, result)
    return result


def _turned(weight: Tensor) -> Tensor:
    return weight.flip(-2, -1).transpose(0, 1)


def _of_weight(x: Tensor, gradient: Tensor, weight: Tensor, circular: bool) -> Tensor:
    side = weight.shape[-1]
    taps: Tensor = _kernel(x).kernel_gradient(_packed(x), _packed(gradient), side, circular)
    return taps.view(weight.shape)


_CONVOLVER = Convolver(_runs, _forward, _turned, _of_weight)
