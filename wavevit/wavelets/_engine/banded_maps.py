"""A banded matrix along each axis of a map of tokens: a low-pass to a coarser grid, for one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.wavelets._engine.eager import is_only_differentiated_backward
from wavevit.wavelets._engine.haar_channels_last import is_channels_last
from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.torch_private import is_derived
from wavevit.wavelets._kernels.banded import Banded
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = ["Banded", "resampled", "resamples"]

_KERNEL = "wavevit.wavelets._kernels.tokens_cpu"


def resamples(x: Tensor) -> bool:
    """Whether `resampled` serves maps (B, C, H, W): channels last in memory, on the CPU."""
    if not is_only_differentiated_backward(x) or not is_channels_last(x):
        return False
    return kernels_for(x, _KERNEL, "Low-passes of tokens run") is not None


def resampled(x: Tensor, rows: Banded, columns: Banded) -> Tensor:
    """Maps (B, C, H, W) to (B, C, h, w), channels last in memory, by one matrix for each axis."""
    maps = x.permute(0, 2, 3, 1)
    if is_derived(x):
        return _Resample.apply(maps, rows, columns).permute(0, 3, 1, 2)
    return _run(maps, rows, columns).permute(0, 3, 1, 2)


def _run(maps: Tensor, rows: Banded, columns: Banded) -> Tensor:
    maps = maps.resolve_neg().contiguous()
    result = room(maps, (len(maps), rows.outputs, columns.outputs, maps.shape[-1]))
    kernel = kernels_for(maps, _KERNEL, "Low-passes of tokens run")
    assert kernel is not None  # `resamples` has asked
    kernel.resample(maps, rows, columns, result)
    return result


class _Resample(torch.autograd.Function):
    """The gradient is the transposed matrices, to every order."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, rows: Banded, columns: Banded) -> Tensor:
        ctx.rows, ctx.columns = rows, columns
        return _run(maps, rows, columns)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        transposed = ctx.rows.transpose, ctx.columns.transpose
        if is_only_differentiated_backward(gradient):
            return _Resample.apply(gradient, *transposed), None, None
        return _plain(gradient, *transposed), None, None


def _plain(maps: Tensor, rows: Banded, columns: Banded) -> Tensor:
    """`_run` as products, where `torch.func` is at work in the backward pass."""
    matrices = [
        torch.tensor(axis.dense(), dtype=maps.dtype, device=maps.device) for axis in (rows, columns)
    ]
    width, channels = maps.shape[2:]
    lines = matrices[0] @ maps.reshape(maps.shape[0], maps.shape[1], width * channels)
    return matrices[1] @ lines.reshape(maps.shape[0], rows.outputs, width, channels)
