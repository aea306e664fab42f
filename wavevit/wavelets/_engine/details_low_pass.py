"""Undecimated details, their magnitudes and a low-pass in one pass, with a gradient of its own.

In separate operations the coefficients of a batch are twice written, read four times and kept for
the backward pass. Here a few planes at a time are transformed, and nothing but the images is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wavevit.wavelets._engine.eager import is_only_differentiated_backward
from wavevit.wavelets._engine.haar_maps import HaarMap
from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.linear_maps import LinearMap
from wavevit.wavelets._engine.plain_gradients import plain_gradients
from wavevit.wavelets._engine.torch_private import is_derived
from wavevit.wavelets._engine.undecimated_maps import UndecimatedMap
from wavevit.wavelets._kernels.cpu_memory import room

if TYPE_CHECKING:
    from wavevit.wavelets.filters import FilterBank

__all__ = ["low_passed_details"]

_KERNEL = "wavevit.wavelets._kernels.low_pass_cpu"
_SAMPLES = 1 << 16  # of the planes of one piece, for each thread
Plain = Callable[[Tensor], Tensor]


def low_passed_details(
    x: Tensor, bank: FilterBank, level: int, rows: Tensor, columns: Tensor, plain: Plain
) -> Tensor:
    """Images and the magnitudes of their undecimated details, each low-passed to a coarser grid.

    Args:
        x: images (B, C, H, W).
        bank: filters of the transform, on a circle.
        level: number of its levels.
        rows: the low-pass along columns, (h, H).
        columns: along rows, (w, W).
        plain: the same in torch's operations, where no kernel does it.

    Returns:
        (B, C, 1 + 3 * level, h, w): the images first, then details coarse to fine.
    """
    if not is_only_differentiated_backward(x) or torch.is_autocast_enabled("cpu"):
        return plain(x)
    if kernels_for(x, _KERNEL, "Low-passes of magnitudes run") is None:
        return plain(x)
    if is_derived(x):
        return _Details.apply(x, bank, level, rows, columns, plain)
    return _forward(x, bank, level, rows, columns)


def _map(bank: FilterBank, size: tuple[int, int], level: int) -> LinearMap:
    if bank.is_haar:
        return HaarMap(False, False, level, size, spacing=1)
    return UndecimatedMap(bank, "periodic", size, level)


def _pieces(planes: int, samples: int) -> Iterator[slice]:
    few = max(_SAMPLES * torch.get_num_threads() // samples, 1)
    for start in range(0, planes, few):
        yield slice(start, start + few)


def _transformed(planes: Tensor, bank: FilterBank, level: int) -> Tensor:
    """Planes (n, H, W) to coefficients (n, level, 4, H, W)."""
    size = (planes.shape[-2], planes.shape[-1])
    (found,) = _map(bank, size, level).run([planes[:, None]])
    return found.view(len(planes), level, 4, *size)


def _forward(x: Tensor, bank: FilterBank, level: int, rows: Tensor, columns: Tensor) -> Tensor:
    kernel: Any = kernels_for(x, _KERNEL, "Low-passes of magnitudes run")
    planes = x.detach().resolve_neg().contiguous().flatten(0, 1)
    result = room(x, (*x.shape[:2], 1 + 3 * level, len(rows), len(columns)))
    results, turned = result.flatten(0, 1), columns.t().contiguous()
    for piece in _pieces(len(planes), planes[0].numel()):
        details = _transformed(planes[piece], bank, level)
        kernel.low_pass(planes[piece], details, rows, turned, results[piece])
    return result


class _Details(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        bank: FilterBank,
        level: int,
        rows: Tensor,
        columns: Tensor,
        plain: Plain,
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.how, ctx.plain = (bank, level, rows, columns), plain
        return _forward(x, *ctx.how)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        rest = (None,) * 5
        if torch.is_grad_enabled() or not is_only_differentiated_backward(x, gradient):
            return *plain_gradients(ctx.plain, (x,), (True,), gradient), *rest
        return _backward(x, gradient, *ctx.how), *rest


def _backward(
    x: Tensor, gradient: Tensor, bank: FilterBank, level: int, rows: Tensor, columns: Tensor
) -> Tensor:
    kernel: Any = kernels_for(x, _KERNEL, "Low-passes of magnitudes run")
    planes = x.detach().resolve_neg().contiguous().flatten(0, 1)
    given = gradient.detach().resolve_neg().contiguous().flatten(0, 1)
    result, turned = room(planes, x.shape), rows.t().contiguous()
    results = result.flatten(0, 1)
    back = _map(bank, (x.shape[-2], x.shape[-1]), level).transpose
    for piece in _pieces(len(planes), planes[0].numel()):
        details = _transformed(planes[piece], bank, level)
        kernel.low_pass_gradient(given[piece], details, turned, columns, results[piece])
        bands = details[:, None] if level > 1 or not bank.is_haar else details
        results[piece] += back.run([bands])[0][:, 0]
    return result
