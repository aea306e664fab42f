"""Small planes of a filter bank on the CPU, `LANES` at a time: a lane of a vector for each.

A row is then as many vectors as it has samples, so sorting it moves vectors, and a short row fills
them. The results are those of one plane at a time, to the bit. This module imports numba: see
`_kernels.bank_cpu`.
"""

from __future__ import annotations

import numpy as np

from wavevit.wavelets._kernels.bank_cpu_code import LANES, pack_square, unpack_square
from wavevit.wavelets._kernels.bank_cpu_rows import adjoint_rows, analyse_rows, at
from wavevit.wavelets._kernels.haar_cpu_code import compiled, load, store

__all__ = ["adjoint_groups", "analyse_groups"]


@compiled
def _pack(size, one, planes, step, first, count, samples, packed):
    """Plane after plane to sample after sample, each a vector with an element of every plane."""
    start, i = planes + first * step, 0
    if count == LANES and samples >= LANES:
        while i < samples:
            i = min(i, samples - LANES)
            pack_square(one, start + i * size, step, at(packed) + i * LANES * size)
            i += LANES
        return
    for lane in range(count):
        for i in range(samples):
            packed[i * LANES + lane] = load(one, start + lane * step + i * size)


@compiled
def _unpack(size, one, packed, planes, step, first, count, samples):
    """Inverse of `_pack`."""
    start, i = planes + first * step, 0
    if count == LANES and samples >= LANES:
        while i < samples:
            i = min(i, samples - LANES)
            unpack_square(one, start + i * size, step, at(packed) + i * LANES * size)
            i += LANES
        return
    for lane in range(count):
        for i in range(samples):
            store(one, start + lane * step + i * size, packed[i * LANES + lane])


@compiled
def analyse_groups(
    one, size, number, image, plane_bytes, height, width, targets, target_bytes, approx_at,
    approx_rows, taps, used, counts, rows, edges, copied, places, before, stride, spacing, h, w,
    start, stop,
):  # fmt: skip
    """Groups `start` to `stop` of `LANES` planes, each as one plane of vectors.

    `approx_rows` is the height of a dual tree's approximations, which lie at `approx_at`, or 0.
    """
    packed = np.zeros(height * width * LANES, taps.dtype)
    bands = np.empty((targets.size, h * w * LANES), taps.dtype)
    approx = np.empty((min(approx_rows, 1), approx_rows, 2 * w * LANES), taps.dtype)
    where, still = np.empty(targets.size, np.int64), np.zeros(targets.size, np.int64)
    for band in range(targets.size):
        where[band] = at(bands[band])
    for group in range(start, stop):
        first = group * LANES
        count = min(LANES, number - first)
        _pack(size, one, image, plane_bytes, first, count, height * width, packed)
        analyse_rows(
            one, size, at(packed), 0, width * LANES, where, still, approx, taps, used, counts, rows,
            edges, copied, places, before, stride, spacing, h, w * LANES, 0, h, LANES,
        )  # fmt: skip
        for band in range(targets.size):
            _unpack(
                size, one, bands[band], targets[band], target_bytes[band], first, count, h * w
            )  # fmt: skip
        if approx_rows:
            samples = approx_rows * 2 * w
            _unpack(
                size, one, approx.reshape(-1), approx_at, samples * size, first, count, samples
            )  # fmt: skip


@compiled
def adjoint_groups(
    one, size, number, image, plane_bytes, height, width, sources, source_bytes, which, factors,
    taps, starts, its_bands, users, weights, edges, copied, places, before, stride, spacing, h, w,
    start, stop,
):  # fmt: skip
    """Transpose of `analyse_groups`; a band is the sum of the `sources` that `which` says."""
    packed = np.zeros((1, height, width * LANES), taps.dtype)
    bands = np.zeros((sources.size, h * w * LANES), taps.dtype)
    where, still = np.empty(which.shape, np.int64), np.zeros(which.shape, np.int64)
    for band in range(which.shape[0]):
        for part in range(which.shape[1]):
            where[band, part] = at(bands[which[band, part]])
    for group in range(start, stop):
        first = group * LANES
        count = min(LANES, number - first)
        for band in range(sources.size):
            _pack(size, one, sources[band], source_bytes[band], first, count, h * w, bands[band])
        adjoint_rows(
            one, size, packed, where, still, factors, taps, starts, its_bands, users, weights,
            edges, copied, places, before, stride, spacing, h, w * LANES, 0, height, LANES,
        )  # fmt: skip
        _unpack(
            size, one, packed.reshape(-1), image, plane_bytes, first, count, height * width
        )  # fmt: skip
