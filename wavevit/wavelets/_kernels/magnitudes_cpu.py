"""Magnitudes on the CPU: smooth magnitudes with their gradient, and magnitudes with a low-pass.

A magnitude in plain operations is seven passes over memory. Here it is one, and where a low-pass
to a coarser grid follows, the magnitudes of one row are all that is ever stored.

This module imports numba, so it is imported at the first magnitude of a CPU tensor and not before.
`_engine.magnitudes` calls it with contiguous tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled

if TYPE_CHECKING:
    from wavevit.wavelets._kernels.banded import Banded

__all__ = ["LINEAR", "MODULUS", "SMOOTH", "low_passed", "smooth", "smooth_gradient"]

LINEAR, MODULUS, SMOOTH = range(3)  # what `low_passed` takes of each sample


@compiled
def _smooth(bias, parts, magnitudes, start, stop):
    """`parts` (planes, 2, samples) to `magnitudes` (planes, samples)."""
    floor = bias * bias
    for plane in range(start, stop):
        real, imaginary, target = parts[plane, 0], parts[plane, 1], magnitudes[plane]
        for j in range(target.size):
            square = real[j] * real[j] + imaginary[j] * imaginary[j]
            target[j] = math.sqrt(square + floor) - bias


@compiled
def _smooth_gradient(bias, parts, gradients, results, start, stop):
    """The gradient of `parts` from that of the magnitudes."""
    floor = bias * bias
    for plane in range(start, stop):
        real, imaginary, given = parts[plane, 0], parts[plane, 1], gradients[plane]
        first, second = results[plane, 0], results[plane, 1]
        for j in range(given.size):
            square = real[j] * real[j] + imaginary[j] * imaginary[j]
            scale = given[j] / math.sqrt(square + floor)
            first[j] = scale * real[j]
            second[j] = scale * imaginary[j]


@compiled
def _low_passed(
    kind, bias, source, reads, targets, steps, target, heads, into, shares, tails, along, weights,
    rows, columns, start, stop,
):  # fmt: skip
    """Planes `start` to `stop` of all images.

    `source` is (images, planes, height, width), twice as many planes for `SMOOTH`. Plane `reads[q]`
    goes to `target`, seen as a line, from `targets[q]` on; `steps` are the distances there from
    image to image, row to row and column to column. An input row `r` belongs to the output rows
    `into[heads[r]:heads[r + 1]]`, an output column `k` reads the columns
    `along[tails[k]:tails[k + 1]]`.
    """
    height, width = source.shape[2:]
    floor = bias * bias
    lines = np.empty((rows, width), source.dtype)
    turned = np.empty((width, rows), source.dtype)
    sums = np.empty(rows, source.dtype)
    line = np.empty(width, source.dtype)
    for unit in range(start, stop):
        image, q = unit // reads.size, unit % reads.size
        lines[:] = 0
        for r in range(height):
            if heads[r] == heads[r + 1]:
                continue
            if kind == SMOOTH:
                real, imaginary = source[image, 2 * reads[q], r], source[image, 2 * reads[q] + 1, r]
                for j in range(width):
                    square = real[j] * real[j] + imaginary[j] * imaginary[j]
                    line[j] = math.sqrt(square + floor) - bias
            elif kind == MODULUS:
                given = source[image, reads[q], r]
                for j in range(width):
                    line[j] = abs(given[j])
            else:
                line[:] = source[image, reads[q], r]
            for t in range(heads[r], heads[r + 1]):
                weight, sum_ = shares[t], lines[into[t]]
                for j in range(width):
                    sum_[j] += weight * line[j]
        # Turned, so that the rows of results are neighbours and are summed in vectors.
        for i in range(rows):
            for j in range(width):
                turned[j, i] = lines[i, j]
        first = image * steps[0] + targets[q]
        for k in range(columns):
            sums[:] = 0
            for t in range(tails[k], tails[k + 1]):
                weight, given = weights[t], turned[along[t]]
                for i in range(rows):
                    sums[i] += weight * given[i]
            for i in range(rows):
                target[first + i * steps[1] + k * steps[2]] = sums[i]


def _bias(value: float, like: Tensor) -> np.floating:
    return np.float32(value) if like.element_size() == 4 else np.float64(value)


def smooth(parts: Tensor, bias: float, magnitudes: Tensor) -> None:
    """Fills `magnitudes` (planes, samples) from `parts` (planes, 2, samples)."""
    arrays = parts.detach().numpy(), magnitudes.numpy()
    floor = _bias(bias, parts)
    share(lambda i, j: _smooth(floor, *arrays, i, j), len(parts), parts.numel())


def smooth_gradient(parts: Tensor, bias: float, gradients: Tensor, results: Tensor) -> None:
    """Fills `results` (planes, 2, samples) from the `gradients` (planes, samples) of `smooth`."""
    arrays = parts.detach().numpy(), gradients.detach().numpy(), results.numpy()
    floor = _bias(bias, parts)
    share(lambda i, j: _smooth_gradient(floor, *arrays, i, j), len(parts), parts.numel())


def low_passed(
    kind: int,
    bias: float,
    source: Tensor,
    reads: np.ndarray,
    rows: Banded,
    columns: Banded,
    target: Tensor,
    targets: np.ndarray,
    steps: tuple[int, int, int],
) -> None:
    """Fills some channels of `target`; see `_low_passed`."""
    floor = _bias(bias, source)
    given, line = source.detach().numpy(), target.view(-1).numpy()
    by_input = (rows.heads, rows.into, rows.shares.astype(given.dtype))
    by_output = (columns.tails, columns.along, columns.weights.astype(given.dtype))
    sizes = rows.outputs, columns.outputs
    lengths = np.array(steps, np.int64)

    def work(start: int, stop: int) -> None:
        _low_passed(
            kind, floor, given, reads, targets, lengths, line, *by_input, *by_output, *sizes,
            start, stop,
        )  # fmt: skip

    share(work, len(source) * reads.size, source.numel())
