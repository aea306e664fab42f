"""Maps of tokens on the CPU: depthwise convolution, banded resampling, one Haar level.

Maps are (B, h, w, C) with channels innermost, as tokens are. A border is a matter of addresses:
nothing is padded and no map is copied.

This module imports numba, so it is imported at the first use and not before. `_engine.depthwise`
and `_engine.haar_channels_last` call it with contiguous tensors whose shapes fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu_code import weigh_once
from wavevit.wavelets._kernels.bank_cpu_rows import at
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled
from wavevit.wavelets._kernels.tokens_cpu_code import add_products, butterfly, sum_products

if TYPE_CHECKING:
    from wavevit.wavelets._kernels.banded import Banded

__all__ = ["convolve", "haar", "kernel_gradient", "resample"]


@compiled
def _neighbours(x, image, row, column, side, circular, nothing, size, places):
    """Addresses of the tokens under a kernel of `side`, row by row."""
    _, height, width, channels = x.shape
    first, line, step = at(x), width * channels * size, channels * size
    reach, t = side // 2, 0
    for dy in range(-reach, reach + 1):
        i = row + dy
        outside = i < 0 or i >= height
        if circular:
            i = i % height
        start = first + (image * height + i) * line
        for dx in range(-reach, reach + 1):
            j = column + dx
            if not circular and (outside or j < 0 or j >= width):
                places[t] = nothing
            else:
                places[t] = start + j % width * step
            t += 1


@compiled
def _convolve(one, size, x, weights, results, side, circular, start, stop):
    """Rows `start` to `stop` of all maps. `weights` are (side², C), with a bias (side² + 1, C)."""
    _, height, width, channels = x.shape
    count = len(weights)
    ones, zeros = np.full(channels, one), np.zeros(channels, x.dtype)
    places, taps = np.empty(side * side + 1, np.int64), np.empty(count, np.int64)
    places[side * side] = at(ones)
    target, step = at(results), channels * size
    for t in range(count):
        taps[t] = at(weights) + t * step
    for unit in range(start, stop):
        image, row = unit // height, unit % height
        for column in range(width):
            _neighbours(x, image, row, column, side, circular, at(zeros), size, places)
            there = target + (unit * width + column) * step
            sum_products(one, size, at(places), at(taps), count, there, channels)


@compiled
def _kernel_gradient(one, size, x, gradients, results, side, circular, start, stop):
    """Images `start` to `stop`: the gradient (B, side², C) of the weights, image by image."""
    _, height, width, channels = x.shape
    zeros = np.zeros(channels, x.dtype)
    count = side * side
    places, targets = np.empty(count, np.int64), np.empty(count, np.int64)
    step = channels * size
    for image in range(start, stop):
        for t in range(count):
            targets[t] = at(results) + (image * count + t) * step
        for row in range(height):
            for column in range(width):
                _neighbours(x, image, row, column, side, circular, at(zeros), size, places)
                there = at(gradients) + ((image * height + row) * width + column) * step
                add_products(one, size, there, at(places), at(targets), count, channels)


@compiled
def _haar(one, half, size, maps, coefficients, inverse, start, stop):
    """Rows `start` to `stop` of blocks: maps (B, 2h, 2w, C), coefficients (B, h, w, 4, C)."""
    width, channels = coefficients.shape[2], coefficients.shape[4]
    step = channels * size
    line = 2 * width * step
    for unit in range(start, stop):
        top, first = at(maps) + 2 * unit * line, at(coefficients) + unit * width * 4 * step
        for column in range(width):
            p, c = top + 2 * column * step, first + 4 * column * step
            butterfly(
                one, half, size, not inverse,
                p, p + step, p + line, p + line + step, c, step, channels,
            )  # fmt: skip


@compiled
def _resample(
    one, size, x, results, tails, along, weights, beside, places_of, shares, start, stop
):  # fmt: skip
    """Rows `start` to `stop` of all results: a weighted sum of rows, then of the tokens in it.

    Output row i reads the rows ``along[tails[i]:tails[i + 1]]`` with `weights`, output column j the
    columns ``places_of[beside[j]:beside[j + 1]]`` with `shares`.
    """
    height, width, channels = x.shape[1:]
    rows, columns = results.shape[1:3]
    step = channels * size
    line = np.empty(width * channels, x.dtype)
    places = np.empty(max(height, width), np.int64)
    for unit in range(start, stop):
        image, i = unit // rows, unit % rows
        count = tails[i + 1] - tails[i]
        for t in range(count):
            places[t] = at(x) + (image * height + along[tails[i] + t]) * width * step
        weigh_once(one, size, at(places), count, at(weights[tails[i] :]), at(line), line.size)
        for j in range(columns):
            count = beside[j + 1] - beside[j]
            for t in range(count):
                places[t] = at(line) + places_of[beside[j] + t] * step
            there = at(results) + (unit * columns + j) * step
            weigh_once(one, size, at(places), count, at(shares[beside[j] :]), there, channels)


def _one(x: Tensor) -> np.floating:
    return np.float32(1) if x.element_size() == 4 else np.float64(1)


def convolve(x: Tensor, weights: Tensor, side: int, circular: bool, results: Tensor) -> None:
    """Fills `results` (B, h, w, C) with the depthwise convolution of `x`, a correlation as torch's.

    Args:
        x: (B, h, w, C).
        weights: (side², C), and the bias as one row more.
        side: of the kernel, odd.
        circular: borders; otherwise zeros.
        results: like `x`.
    """
    arrays = x.detach().numpy(), weights.detach().numpy(), results.numpy()
    one, size, rows = _one(x), x.element_size(), x.shape[0] * x.shape[1]
    share(lambda i, j: _convolve(one, size, *arrays, side, circular, i, j), rows, x.numel())


def kernel_gradient(x: Tensor, gradients: Tensor, side: int, circular: bool) -> Tensor:
    """The gradient (side², C) of the weights, from that of the results."""
    parts = x.new_zeros(len(x), side * side, x.shape[-1])
    arrays = x.detach().numpy(), gradients.detach().numpy(), parts.numpy()
    one, size = _one(x), x.element_size()

    def work(start: int, stop: int) -> None:
        _kernel_gradient(one, size, *arrays, side, circular, start, stop)

    share(work, len(x), x.numel())
    return torch.sum(parts, 0)


def haar(maps: Tensor, coefficients: Tensor, inverse: bool) -> None:
    """Fills `coefficients` (B, h, w, 4, C) from `maps` (B, 2h, 2w, C), or the maps."""
    arrays = maps.detach().numpy(), coefficients.detach().numpy()
    one, size = _one(maps), maps.element_size()
    half = one / 2
    rows = coefficients.shape[0] * coefficients.shape[1]
    share(lambda i, j: _haar(one, half, size, *arrays, inverse, i, j), rows, maps.numel())


def resample(x: Tensor, rows: Banded, columns: Banded, results: Tensor) -> None:
    """Fills `results` (B, h, w, C) from `x` (B, H, W, C) by a banded matrix for each axis."""
    arrays = x.detach().numpy(), results.numpy()
    lists = [
        part
        for axis in (rows, columns)
        for part in (axis.tails, axis.along, axis.weights.astype(arrays[0].dtype))
    ]
    one, size = _one(x), x.element_size()
    units = results.shape[0] * results.shape[1]
    share(lambda i, j: _resample(one, size, *arrays, *lists, i, j), units, x.numel())
