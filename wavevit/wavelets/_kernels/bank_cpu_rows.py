"""Rows of a separable filter bank on the CPU: the loops of `_kernels.bank_cpu`.

A sample is an element, or a vector with an element of each of `LANES` planes
(`_kernels.bank_cpu_groups`). This module imports numba: see `_kernels.bank_cpu`.
"""

from __future__ import annotations

import numpy as np

from wavevit.wavelets._kernels.bank_cpu_code import (
    LANES,
    add_lanes,
    clear_lanes,
    move_lanes,
    weigh_once,
    weigh_twice,
)
from wavevit.wavelets._kernels.bank_tables import MIXED
from wavevit.wavelets._kernels.haar_cpu_code import compiled

__all__ = ["adjoint_rows", "analyse_rows", "at", "taps_by_residue"]


@compiled
def at(array):
    return np.int64(array.ctypes.data)


@compiled
def _sort(line, edges, copied, before, stride, places, sorted_):
    """A row, extended, sorted by residue modulo the stride."""
    side = line.size
    for e in range(edges.size):
        sorted_[edges[e]] = line[copied[e]] if copied[e] >= 0 else 0
    for q in range(stride):
        place = before + q
        target = sorted_[place % stride * places + place // stride :]
        if stride == 1:
            target[:side] = line
        elif stride == 2:
            for j in range(side // 2):
                target[j] = line[2 * j + q]
        else:
            for j in range(side // stride):
                target[j] = line[stride * j + q]


@compiled
def _sort_together(one, line, edges, copied, before, stride, places, sorted_):
    """`_sort` of samples that are a vector each."""
    step = LANES * sorted_.itemsize
    source, target = at(line), at(sorted_)
    side = line.size // LANES
    for e in range(edges.size):
        if copied[e] >= 0:
            move_lanes(one, source + copied[e] * step, target + edges[e] * step)
        else:
            clear_lanes(one, target + edges[e] * step)
    for q in range(stride):
        place = before + q
        first = target + (place % stride * places + place // stride) * step
        for j in range(side // stride):
            move_lanes(one, source + (stride * j + q) * step, first + j * step)


@compiled
def _unsort_together(one, sorted_, edges, copied, before, stride, places, line):
    """`_unsort` of samples that are a vector each."""
    step = LANES * sorted_.itemsize
    source, target = at(sorted_), at(line)
    side = line.size // LANES
    for q in range(stride):
        place = before + q
        first = source + (place % stride * places + place // stride) * step
        for j in range(side // stride):
            move_lanes(one, first + j * step, target + (stride * j + q) * step)
    for m in range(side // stride * stride, side):
        clear_lanes(one, target + m * step)
    for e in range(edges.size):
        if copied[e] >= 0:
            add_lanes(one, source + edges[e] * step, target + copied[e] * step)


@compiled
def _unsort(sorted_, edges, copied, before, stride, places, line):
    """Transpose of `_sort`: what stands beyond the border is added to the sample it copies."""
    side = line.size
    if stride == 2:
        even = sorted_[before % 2 * places + before // 2 :]
        odd = sorted_[(before + 1) % 2 * places + (before + 1) // 2 :]
        for j in range(side // 2):
            line[2 * j] = even[j]
            line[2 * j + 1] = odd[j]
    else:
        for q in range(stride):
            place = before + q
            source = sorted_[place % stride * places + place // stride :]
            for j in range(side // stride):
                line[stride * j + q] = source[j]
    line[side // stride * stride :] = 0
    for e in range(edges.size):
        if copied[e] >= 0:
            line[copied[e]] += sorted_[edges[e]]


@compiled
def analyse_rows(
    one, size, image, plane_bytes, width, targets, target_bytes, approx, taps, used, counts, rows,
    edges, copied, places, before, stride, spacing, h, w, start, stop, lanes=1,
):  # fmt: skip
    """Rows `start` to `stop` of the coefficients of all planes; `approx` says how they lie.

    Where it is empty, every band lies at its own target. Otherwise it receives the quads of the
    lowest band, interleaved, and `targets` are the twelve detail planes. `width` and `w` count
    elements, `places` and `edges` samples: of `lanes` elements each.
    """
    bands, length = taps.shape
    oriented = approx.size > 0
    weights, tap_bytes = at(taps), length * size
    nothing = np.zeros(width, taps.dtype)
    lines = np.empty((bands, width), taps.dtype)
    sorted_ = np.zeros(stride * places * lanes, taps.dtype)
    above, beside = np.empty(length, np.int64), np.empty((bands // 2, length), np.int64)
    for pair in range(bands // 2):
        for n in range(counts[pair]):
            place = spacing * used[pair, n]
            beside[pair, n] = at(sorted_[(place % stride * places + place // stride) * lanes :])
    where = np.empty(bands * bands, np.int64)
    quads = np.empty((bands * bands, w), taps.dtype)
    halves = np.full((2, 2), np.sqrt(one / (one + one)), taps.dtype)
    halves[1, 1] = -halves[1, 1]
    for band in range(bands * bands):
        where[band] = at(quads[band])
    for unit in range(start, stop):
        plane, k = unit // h, unit % h
        if not oriented:
            for band in range(bands * bands):
                where[band] = targets[band] + plane * target_bytes[band] + k * w * size
        for v in range(0, bands, 2):
            for n in range(counts[v // 2]):
                s = rows[stride * k + spacing * used[v // 2, n]]
                above[n] = at(nothing)
                if s >= 0:
                    above[n] = image + plane * plane_bytes + s * width * size
            weigh_twice(
                one, size, at(above), counts[v // 2],
                weights + v * tap_bytes, at(lines[v]),
                weights + (v + 1) * tap_bytes, at(lines[v + 1]), width, lanes,
            )  # fmt: skip
        for v in range(bands):
            if lanes == 1:
                _sort(lines[v], edges, copied, before, stride, places, sorted_)
            else:
                _sort_together(one, lines[v], edges, copied, before, stride, places, sorted_)
            for u in range(0, bands, 2):
                weigh_twice(
                    one, size, at(beside[u // 2]), counts[u // 2],
                    weights + u * tap_bytes, where[u * bands + v],
                    weights + (u + 1) * tap_bytes, where[(u + 1) * bands + v], w, lanes,
                )  # fmt: skip
        if oriented:
            for p in range(2):
                line, left, right = approx[plane, 2 * k + p], quads[2 * p], quads[8 + 2 * p]
                if lanes == 1:
                    for j in range(w):
                        line[2 * j] = left[j]
                        line[2 * j + 1] = right[j]
                else:
                    step = lanes * size
                    for j in range(w // lanes):
                        move_lanes(one, at(left) + j * step, at(line) + 2 * j * step)
                        move_lanes(one, at(right) + j * step, at(line) + (2 * j + 1) * step)
            for n in range(MIXED.shape[0]):
                above[0], above[1] = where[MIXED[n, 0]], where[MIXED[n, 1]]
                plus, minus = MIXED[n, 2], MIXED[n, 3]
                weigh_twice(
                    one, size, at(above), 2,
                    at(halves[0]), targets[plus] + plane * target_bytes[plus] + k * w * size,
                    at(halves[1]), targets[minus] + plane * target_bytes[minus] + k * w * size, w,
                    lanes,
                )  # fmt: skip


@compiled
def taps_by_residue(taps, lines, margin, stride, spacing, lanes):
    """Taps that are not 0, by residue modulo the stride: where each begins to read, its value, and
    how many there are.

    Args:
        taps: of each band.
        lines: a row of coefficients of each band, behind `margin` zeros.
        margin, stride, spacing, lanes: as in `adjoint_rows`.
    """
    bands, length = taps.shape
    beside, numbers = np.empty((stride, bands * length), np.int64), np.zeros(stride, np.int64)
    along = np.empty((stride, bands * length), taps.dtype)
    for u in range(bands):
        for t in range(length):
            if taps[u, t] != 0:
                r, back = spacing * t % stride, spacing * t // stride
                beside[r, numbers[r]] = at(lines[u, (margin - back) * lanes :])
                along[r, numbers[r]] = taps[u, t]
                numbers[r] += 1
    return beside, along, numbers


@compiled
def adjoint_rows(
    one, size, image, sources, source_bytes, factors, taps, starts, its_bands, users, weights,
    edges, copied, places, before, stride, spacing, h, w, start, stop, lanes=1,
):  # fmt: skip
    """Rows `start` to `stop` of the images; a band is the sum of its `sources` times `factors`.

    `lanes` as in `analyse_rows`; `w` and the images' width count elements.
    """
    bands, length = taps.shape
    height = image.shape[1]
    margin = spacing * (length - 1) // stride + 1
    # Zeros on both sides of `w`.
    lines = np.zeros((bands, (margin + places) * lanes), taps.dtype)
    sorted_ = np.empty(stride * places * lanes, taps.dtype)
    most = factors.shape[1] * weights.size
    below, shares = np.empty(most, np.int64), np.empty(most, taps.dtype)
    beside, along, numbers = taps_by_residue(taps, lines, margin, stride, spacing, lanes)
    for unit in range(start, stop):
        plane, m = unit // height, unit % height
        for u in range(bands):
            count = 0
            for t in range(starts[m], starts[m + 1]):
                band, row = u * bands + its_bands[t], users[t] * w * size
                for part in range(factors.shape[1]):
                    if factors[band, part] != 0:
                        place = sources[band, part] + plane * source_bytes[band, part]
                        below[count] = place + row
                        shares[count] = weights[t] * factors[band, part]
                        count += 1
            weigh_once(
                one, size, at(below), count, at(shares), at(lines[u, margin * lanes :]), w, lanes
            )  # fmt: skip
        for r in range(stride):
            weigh_once(
                one, size, at(beside[r]), numbers[r], at(along[r]),
                at(sorted_[r * places * lanes :]), places * lanes, lanes,
            )  # fmt: skip
        if lanes == 1:
            _unsort(sorted_, edges, copied, before, stride, places, image[plane, m])
        else:
            _unsort_together(
                one, sorted_, edges, copied, before, stride, places, image[plane, m]
            )  # fmt: skip
