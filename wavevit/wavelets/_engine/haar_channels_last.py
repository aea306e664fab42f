"""One Haar level of a channels-last map, such as a sequence of tokens.

A sequence of tokens (B, h·w, C) *is* a channels-last image: every step of the butterfly is an
addition of runs of C values, and the coefficients come out in the same layout, ready for a linear
layer or a channels-last convolution. The kernels of `_engine.haar_maps` want planes and
would copy there and back: 3 to 10 times the price of the transform.

On the CPU a kernel does it in one pass, and its backward pass is its inverse. Elsewhere plain
operations do, whose backward passes are plain too (`unbind` undoes `stack`), so every derivative
and every tracer works. Values are those of the kernels (tests/properties/test_haar_tokens.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.wavelets._engine.eager import is_only_differentiated_backward
from wavevit.wavelets._engine.haar_plain import pad_to_even
from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.pieces import by_images
from wavevit.wavelets._engine.torch_private import is_derived
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["analysis", "is_channels_last", "synthesis"]

_KERNEL = "wavevit.wavelets._kernels.tokens_cpu"
_FEWEST = 8  # channels from which a run is long enough for vector instructions


def is_channels_last(x: Tensor) -> bool:
    """Whether images (B, C, H, W), or coefficients (B, C, 4, h, w), have C innermost in memory."""
    # A compiler's own tensors stand for ordinary ones.
    ordinary = type(x) in (Tensor, torch.nn.Parameter) or torch.compiler.is_compiling()
    if not ordinary or x.shape[1] < _FEWEST:
        return False
    if x.ndim == 5:  # `analysis` leaves (B, h, w, 4, C) in memory
        return x.permute(0, 3, 4, 2, 1).is_contiguous()
    # By axes: `vmap` does not answer whether a memory format is contiguous.
    return x.ndim == 4 and x.permute(0, 2, 3, 1).is_contiguous()


def analysis(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, 4, ⌈H/2⌉, ⌈W/2⌉), which is (B, h, w, 4, C) in memory."""
    if x.shape[-2] % 2 == x.shape[-1] % 2 == 0 and _has_kernel(x):
        return _stepped(x.permute(0, 2, 3, 1), False).permute(0, 4, 3, 1, 2)
    return by_images(_analysis, x).permute(0, 4, 3, 1, 2)


def _analysis(x: Tensor) -> Tensor:
    blocks = pad_to_even(x).permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    top, bottom = blocks.unbind(2)
    # Halving comes before the second sum: in float16 the sum of four large pixels overflows.
    sums, differences = 0.5 * (top + bottom), 0.5 * (top - bottom)
    left, right = sums.unbind(3)
    upper, lower = differences.unbind(3)
    return torch.stack([left + right, upper + lower, left - right, upper - lower], dim=3)


def synthesis(coefficients: Tensor) -> Tensor:
    """Inverse of `analysis` for even sides, (B, C, 4, h, w) to channels-last (B, C, 2h, 2w)."""
    if _has_kernel(coefficients):
        return _stepped(coefficients.permute(0, 3, 4, 2, 1), True).permute(0, 3, 1, 2)
    approx, horizontal, vertical, diagonal = coefficients.permute(0, 3, 4, 2, 1).unbind(3)
    sums = 0.5 * torch.stack([approx + vertical, approx - vertical], dim=3)
    differences = 0.5 * torch.stack([horizontal + diagonal, horizontal - diagonal], dim=3)
    rows = torch.stack([sums + differences, sums - differences], dim=2)  # (B, h, 2, w, 2, C)
    return rows.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _has_kernel(x: Tensor) -> bool:
    if not is_only_differentiated_backward(x):
        return False
    return kernels_for(x, _KERNEL, "Haar transforms of tokens run") is not None


def _stepped(x: Tensor, inverse: bool) -> Tensor:
    """(B, H, W, C) to (B, h, w, 4, C) for even sides, or the inverse, by the kernel."""
    return _Step.apply(x, inverse) if is_derived(x) else _run(x, inverse)


def _run(x: Tensor, inverse: bool) -> Tensor:
    kernel = kernels_for(x, _KERNEL, "Haar transforms of tokens run")
    assert kernel is not None  # `_has_kernel` has asked
    x = x.resolve_neg().contiguous()
    batch, height, width, channels = x.shape[0], x.shape[1], x.shape[2], x.shape[-1]
    if inverse:
        result = room(x, (batch, 2 * height, 2 * width, channels))
        kernel.haar(result, x, True)
    else:
        result = room(x, (batch, height // 2, width // 2, 4, channels))
        kernel.haar(x, result, False)
    return result


class _Step(torch.autograd.Function):
    """The transform is orthonormal: its gradient is the inverse, to every order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inverse: bool) -> Tensor:
        ctx.inverse = inverse
        return _run(x, inverse)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if ctx.inverse:
            maps = gradient.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            return analysis(maps).permute(0, 3, 4, 2, 1), None
        return synthesis(gradient.permute(0, 4, 3, 1, 2)).permute(0, 2, 3, 1), None
