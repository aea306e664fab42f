"""What a lock needs of images on the CPU, in one pass each: loops that numba compiles.

With torch's operations the local activity is ten passes over memory that is fresh at every call,
and a roll by a shift of its own for each image is a gather of single numbers. Beside a small model
that is what a lock costs. The same sums, in another order, and in float64 from the profiles on.

This module imports numba, so it is imported at the first lock of a CPU tensor and not before.
`wavevit.alignment.statistics` and `wavevit.alignment.shifts` call it with contiguous float32 or
float64 images; nothing else should.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets.cpu_memory import room
from wavevit.wavelets.cpu_threads import share
from wavevit.wavelets.haar_cpu_code import compiled

__all__ = ["activity_profiles", "rolled"]


@compiled
def _add_squares(total, row):
    """Adds the squared steps along a row, to the right, on the circle."""
    last = row.size - 1
    for j in range(last):
        step = row[j + 1] - row[j]
        total[j] += step * step
    step = row[0] - row[last]
    total[last] += step * step


@compiled
def _add_sums(total, row, below):
    """Adds the squared sums of two neighbouring steps down, on the circle."""
    last = row.size - 1
    for j in range(last):
        step = (row[j] - below[j]) + (row[j + 1] - below[j + 1])
        total[j] += step * step
    step = (row[last] - below[last]) + (row[0] - below[0])
    total[last] += step * step


@compiled
def _profiles(images, tapers, rows, columns, work, start, stop):
    height, width = images.shape[2], images.shape[3]
    for b in range(start, stop):
        along, following, both = work[b, 0], work[b, 1], work[b, 2]
        along[:] = 0
        for c in range(images.shape[1]):
            _add_squares(along, images[b, c, 0])
        for i in range(height):
            below = i + 1 if i + 1 < height else 0
            following[:] = 0
            both[:] = 0
            for c in range(images.shape[1]):
                _add_squares(following, images[b, c, below])
                _add_sums(both, images[b, c, i], images[b, c, below])
            weight = tapers[0, i]
            whole = 0.0
            for j in range(width):
                # Of first differences: see `local_activity`.
                strength = (along[j] + following[j]) / 2 + both[j] / 4
                columns[b, j] += weight * strength
                both[j] = strength
            for j in range(width):
                whole += tapers[1, j] * both[j]
            rows[b, i] = weight * whole
            along, following = following, along
        for j in range(width):
            columns[b, j] *= tapers[1, j]


@compiled
def _roll(images, shifts, result):
    height, width = images.shape[2], images.shape[3]
    for b in range(images.shape[0]):
        down, right = shifts[b, 0] % height, shifts[b, 1] % width
        for c in range(images.shape[1]):
            for i in range(height):
                source = images[b, c, (i - down) % height]
                target = result[b, c, i]
                target[right:] = source[: width - right]
                target[:right] = source[width - right :]


def activity_profiles(x: Tensor, tapers: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    """Sums of `local_activity` along columns and along rows: float64 (B, H) and (B, W).

    Args:
        x: contiguous images (B, C, H, W).
        tapers: weights of rows (H,) and columns (W,); None for 1.
    """
    batch, _, height, width = x.shape
    weights = np.ones((2, max(height, width)))
    for axis, taper in enumerate(tapers or ()):
        weights[axis, : taper.numel()] = taper.numpy()
    rows, columns = np.zeros((batch, height)), np.zeros((batch, width))
    images = x.numpy()
    work = np.empty((batch, 3, width), images.dtype)
    share(
        lambda start, stop: _profiles(images, weights, rows, columns, work, start, stop),
        batch,
        x.numel(),
    )
    return torch.from_numpy(rows), torch.from_numpy(columns)


def rolled(x: Tensor, shift: Tensor) -> Tensor:
    """Contiguous images (B, C, H, W), each rolled by its own row of `shift` (B, 2)."""
    result = room(x, x.shape)
    _roll(x.numpy(), shift.numpy(), result.numpy())
    return result
