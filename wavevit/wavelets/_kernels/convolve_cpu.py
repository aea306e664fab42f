"""Convolutions of few channels on the CPU, with their gradients: weighted sums of image rows.

Every row of a result is a weighted sum of rows of the image, moved by as many pixels as the tap
says. One image is padded at a time, in memory that stays in a cache.

This module imports numba, so it is imported at the first use and not before.
`_engine.convolution` calls it with contiguous tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu_code import weigh_once, weigh_twice
from wavevit.wavelets._kernels.bank_cpu_rows import at
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled
from wavevit.wavelets._kernels.tokens_cpu_code import sum_products

__all__ = ["convolve", "kernel_gradient"]


@compiled
def _pad(image, reach, circular, padded):
    """An image (C, H, W) with `reach` samples around it."""
    channels, height, width = image.shape
    for c in range(channels):
        for i in range(-reach, height + reach):
            target = padded[c, i + reach]
            if not circular and (i < 0 or i >= height):
                target[:] = 0
                continue
            line = image[c, i % height]
            target[reach : reach + width] = line
            for e in range(reach):
                target[e] = line[(e - reach) % width] if circular else 0
                target[reach + width + e] = line[e % width] if circular else 0


@compiled
def _steps(padded, size):
    """Address of the first sample; bytes from a line to the next, and from a plane to the next."""
    line = padded.shape[2] * size
    return at(padded), line, padded.shape[1] * line


@compiled
def _convolve(one, size, x, weights, results, side, circular, start, stop):
    """Images `start` to `stop`. `weights` are (O, C · side²), with a bias one column more."""
    _, channels, height, width = x.shape
    outputs, count = weights.shape
    reach = side // 2
    padded = np.empty((channels, height + 2 * reach, width + 2 * reach), x.dtype)
    ones = np.full(width, one)
    places = np.empty(channels * side * side + 1, np.int64)
    places[-1] = at(ones)
    first, line, plane = _steps(padded, size)
    for image in range(start, stop):
        _pad(x[image], reach, circular, padded)
        for row in range(height):
            t = 0
            for c in range(channels):
                for dy in range(side):
                    for dx in range(side):
                        places[t] = first + c * plane + (row + dy) * line + dx * size
                        t += 1
            for o in range(0, outputs - 1, 2):
                weigh_twice(
                    one, size, at(places), count, at(weights[o]), at(results[image, o, row]),
                    at(weights[o + 1]), at(results[image, o + 1, row]), width,
                )  # fmt: skip
            if outputs % 2:
                o = outputs - 1
                there = at(results[image, o, row])
                weigh_once(one, size, at(places), count, at(weights[o]), there, width)


@compiled
def _kernel_gradient(one, size, x, gradients, results, side, circular, start, stop):
    """Images `start` to `stop`: the gradient (B, O, C · side²) of the weights, image by image."""
    _, channels, height, width = x.shape
    outputs = gradients.shape[1]
    reach = side // 2
    padded = np.empty((channels, height + 2 * reach, width + 2 * reach), x.dtype)
    lefts, rights = np.empty(height, np.int64), np.empty(height, np.int64)
    sums = np.empty(width, x.dtype)
    first, line, plane = _steps(padded, size)
    for image in range(start, stop):
        _pad(x[image], reach, circular, padded)
        for o in range(outputs):
            for row in range(height):
                lefts[row] = at(gradients[image, o, row])
            t = 0
            for c in range(channels):
                for dy in range(side):
                    for dx in range(side):
                        begin = first + c * plane + dy * line + dx * size
                        for row in range(height):
                            rights[row] = begin + row * line
                        sum_products(one, size, at(lefts), at(rights), height, at(sums), width)
                        results[image, o, t] = np.sum(sums)
                        t += 1


def _one(x: Tensor) -> np.floating:
    return np.float32(1) if x.element_size() == 4 else np.float64(1)


def convolve(x: Tensor, weights: Tensor, side: int, circular: bool, results: Tensor) -> None:
    """Fills `results` (B, O, H, W) with the convolution of `x`, a correlation as torch's.

    Args:
        x: (B, C, H, W).
        weights: (O, C · side²), and the bias as one column more.
        side: of the kernel, odd.
        circular: borders; otherwise zeros.
        results: as above.
    """
    arrays = x.detach().numpy(), weights.detach().numpy(), results.numpy()
    one, size = _one(x), x.element_size()
    share(lambda i, j: _convolve(one, size, *arrays, side, circular, i, j), len(x), x.numel())


def kernel_gradient(x: Tensor, gradients: Tensor, side: int, circular: bool) -> Tensor:
    """The gradient (O, C · side²) of the weights, from that of the results (B, O, H, W)."""
    parts = x.new_empty(len(x), gradients.shape[1], x.shape[1] * side**2)
    arrays = x.detach().numpy(), gradients.detach().numpy(), parts.numpy()
    one, size = _one(x), x.element_size()

    def work(start: int, stop: int) -> None:
        _kernel_gradient(one, size, *arrays, side, circular, start, stop)

    share(work, len(x), x.numel())
    return torch.sum(parts, 0)
