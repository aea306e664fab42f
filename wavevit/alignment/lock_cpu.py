"""Phase lock on the CPU: loops compiled by numba that need one pass over the image.

With torch's operations the local activity needs ten passes over memory that is new at every call,
and shifting each image by its own offset gathers single numbers. For a small model this is most of
the time of a lock. Here the same sums are computed in another order, in float64 from the profiles
on.

This module imports numba, so it is imported at the first lock of a CPU tensor and not before.
`wavevit.alignment.statistics` and `wavevit.alignment.shifts` call it with contiguous float32 or
float64 images; nothing else should.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets._kernels.cpu_memory import room
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled

__all__ = ["harmonics", "rolled", "whole_offsets"]

_TINY = float(np.finfo(np.float64).tiny)


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
def _weighted(weights, values):
    """Their product summed, in four sums, so that none waits for the one before."""
    a = b = c = d = 0.0
    whole = values.size // 4 * 4
    for j in range(0, whole, 4):
        a += weights[j] * values[j]
        b += weights[j + 1] * values[j + 1]
        c += weights[j + 2] * values[j + 2]
        d += weights[j + 3] * values[j + 3]
    for j in range(whole, values.size):
        a += weights[j] * values[j]
    return (a + b) + (c + d)


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
            for j in range(width):
                # Four times the activity, of first differences: see `local_activity`.
                pair = along[j] + following[j]
                both[j] += pair + pair
                columns[b, j] += weight * both[j]
            rows[b, i] = weight * _weighted(tapers[1], both)
            along, following = following, along
        for j in range(width):
            columns[b, j] *= tapers[1, j]


@compiled
def _choose(found, spans, rounding, step, offsets, margins):
    for b in range(found.shape[0]):
        for axis in range(2):
            real, imaginary, total = found[b, axis]
            margin = math.hypot(real, imaginary) / max(total, _TINY)
            margins[b, axis] = margin
            offsets[b, axis] = 0
            if margin > rounding:
                place = math.atan2(imaginary, real) * (spans[axis] / (-2 * math.pi))
                offsets[b, axis] = math.floor(place + (1 - step)) % spans[axis]


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


@lru_cache(maxsize=64)
def _waves(side: int, period: int) -> np.ndarray:
    """Cosine, minus sine and 1 along a side, (side, 3): what a profile is measured by."""
    angle = np.arange(side) % period * (2 * np.pi / period)
    return np.stack([np.cos(angle), -np.sin(angle), np.ones(side)], axis=1)


def _four_profiles(
    x: Tensor, tapers: tuple[Tensor, Tensor] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Four times the sums of `local_activity` over rows and over columns: float64 (B, H), (B, W).

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
    return rows, columns


def harmonics(x: Tensor, tapers: tuple[Tensor, Tensor] | None, spans: tuple[int, int]) -> Tensor:
    """Real and imaginary part of each profile's harmonic, and its sum: float64 (B, 2, 3)."""
    found = np.empty((len(x), 2, 3))
    for axis, profile in enumerate(_four_profiles(x, tapers)):
        np.matmul(profile / 4, _waves(profile.shape[1], spans[axis]), out=found[:, axis])
    return torch.from_numpy(found)


def whole_offsets(
    found: Tensor, spans: tuple[int, int], rounding: float, step: float
) -> tuple[Tensor, Tensor]:
    """What `wavevit.alignment.phase_of` makes of harmonics (B, 2, 3), for whole pixels.

    A dozen operations on a dozen numbers, which beside a small model are half of what a lock costs.

    Returns:
        Offsets, int64 (B, 2), and margins, float64 (B, 2).
    """
    offsets, margins = np.empty((len(found), 2), np.int64), np.empty((len(found), 2))
    _choose(found.numpy(), spans, rounding, step, offsets, margins)
    return torch.from_numpy(offsets), torch.from_numpy(margins)


def rolled(x: Tensor, shift: Tensor) -> Tensor:
    """Contiguous images (B, C, H, W), each rolled by its own row of `shift` (B, 2)."""
    result = room(x, x.shape)
    _roll(x.numpy(), shift.numpy(), result.numpy())
    return result
