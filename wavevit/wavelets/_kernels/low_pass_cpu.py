"""Magnitudes of undecimated details with a dense low-pass on the CPU, and their gradient.

A low-pass that is ideal in frequency reads the whole side, so it is a dense matrix for each axis.
The magnitudes of one plane stay in a cache between the two products.

This module imports numba, so it is imported at the first use and not before.
`_engine.details_low_pass` calls it with contiguous tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu_code import weigh_once, weigh_twice
from wavevit.wavelets._kernels.bank_cpu_rows import at
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled

__all__ = ["low_pass", "low_pass_gradient"]


@compiled
def _product(one, size, left, places, result):
    """``result = left @ right``; the rows of `right` lie at the addresses `places`."""
    outputs, count = left.shape
    length = result.shape[1]
    for o in range(0, outputs - 1, 2):
        weigh_twice(
            one, size, at(places), count, at(left[o]), at(result[o]),
            at(left[o + 1]), at(result[o + 1]), length,
        )  # fmt: skip
    if outputs % 2:
        o = outputs - 1
        weigh_once(one, size, at(places), count, at(left[o]), at(result[o]), length)


@compiled
def _addresses(matrix):
    """Where the rows of a matrix lie."""
    places = np.empty(len(matrix), np.int64)
    for i in range(len(matrix)):
        places[i] = at(matrix[i])
    return places


@compiled
def _low_pass(one, size, images, details, rows, columns, results, start, stop):
    """Planes `start` to `stop`: images (planes, H, W), details (planes, levels, 4, H, W).

    Results are (planes, 1 + 3 * levels, h, w); `rows` is (h, H) and `columns` (W, w).
    """
    levels, _, height, width = details.shape[1:]
    magnitudes = np.empty((height, width), images.dtype)
    lines = np.empty((len(rows), width), images.dtype)
    above, beside = _addresses(magnitudes), _addresses(columns)
    samples = magnitudes.reshape(-1)
    for plane in range(start, stop):
        _product(one, size, rows, _addresses(images[plane]), lines)
        _product(one, size, lines, beside, results[plane, 0])
        for band in range(3 * levels):
            given = details[plane, band // 3, 1 + band % 3].reshape(-1)
            for j in range(samples.size):
                samples[j] = abs(given[j])
            _product(one, size, rows, above, lines)
            _product(one, size, lines, beside, results[plane, 1 + band])


@compiled
def _low_pass_gradient(
    one, size, gradients, details, rows, columns, of_images, start, stop
):  # fmt: skip
    """Planes `start` to `stop`: the gradient of the magnitudes, in the place of the details.

    The approximations become zeros; `of_images` gets the gradient of the images by their own
    low-pass alone. `rows` is (H, h) and `columns` (w, W).
    """
    levels, _, height, width = details.shape[1:]
    spread = np.empty((height, width), of_images.dtype)
    lines = np.empty((rows.shape[1], width), of_images.dtype)
    above, beside = _addresses(lines), _addresses(columns)
    samples = spread.reshape(-1)
    zero = one - one
    for plane in range(start, stop):
        _product(one, size, gradients[plane, 0], beside, lines)
        _product(one, size, rows, above, of_images[plane])
        for band in range(3 * levels):
            _product(one, size, gradients[plane, 1 + band], beside, lines)
            _product(one, size, rows, above, spread)
            target = details[plane, band // 3, 1 + band % 3].reshape(-1)
            for j in range(samples.size):
                value = target[j]
                positive = samples[j] if value > zero else zero
                target[j] = positive - (samples[j] if value < zero else zero)
        for level in range(levels):
            details[plane, level, 0] = zero


def _one(x: Tensor) -> np.floating:
    return np.float32(1) if x.element_size() == 4 else np.float64(1)


def low_pass(
    images: Tensor, details: Tensor, rows: Tensor, columns: Tensor, results: Tensor
) -> None:
    """Fills `results` (planes, 1 + 3 * levels, h, w): images, then magnitudes of their details.

    Args:
        images: (planes, H, W).
        details: (planes, levels, 4, H, W); the first of each four is not read.
        rows: (h, H).
        columns: (W, w).
        results: as above.
    """
    arrays = [x.detach().numpy() for x in (images, details, rows, columns, results)]
    one, size = _one(images), images.element_size()
    share(lambda i, j: _low_pass(one, size, *arrays, i, j), len(images), images.numel())


def low_pass_gradient(
    gradients: Tensor, details: Tensor, rows: Tensor, columns: Tensor, of_images: Tensor
) -> None:
    """Puts the gradient of the details in their place, and of the images in `of_images`.

    Args:
        gradients: (planes, 1 + 3 * levels, h, w), of the results.
        details: (planes, levels, 4, H, W); the first of each four becomes zero.
        rows: (H, h).
        columns: (w, W).
        of_images: (planes, H, W), by the low-pass of the images alone.
    """
    arrays = [x.detach().numpy() for x in (gradients, details, rows, columns, of_images)]
    one, size = _one(details), details.element_size()
    units = len(of_images)
    share(lambda i, j: _low_pass_gradient(one, size, *arrays, i, j), units, of_images.numel())
