"""Separable filter banks on the CPU: one read of the image, one write of the coefficients.

The unit of work is one row of results. Forward, a row of each vertical band is a weighted sum of
image rows; its samples are sorted by residue modulo the stride, borders included, and weighted
again. Backward is the same read from its end. What lies between the two steps is one row long and
never leaves the cache. Which sample stands where, beyond the border too, comes from tables, so the
loops know no mode. Small planes are packed eight at a time, a lane of a vector for each, and the
same loops run over vectors.

This module imports numba, so it is imported at the first transform of a CPU tensor and not before.
`_engine.bank_maps` calls `run` with tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu_code import (
    LANES,
    add_lanes,
    clear_lanes,
    move_lanes,
    pack_square,
    unpack_square,
    weigh_once,
    weigh_twice,
)
from wavevit.wavelets._kernels.bank_tables import MIXED, axis_tables
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled, load, store

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import BankMap

__all__ = ["adjoint_rows", "analyse_rows", "at", "planes_of", "run", "used_taps"]

# Up to this side planes are computed together, a lane of a vector for each: a row is then as many
# vectors as it has samples, and sorting it moves vectors. At twice the side, eight planes and their
# coefficients no longer fit the second cache, and it takes up to 1.4 times as long.
_SHORT = 112


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
    beside, parts = np.empty((stride, bands * length), np.int64), np.zeros(stride, np.int64)
    along = np.empty((stride, bands * length), taps.dtype)
    for u in range(bands):
        for t in range(length):
            if taps[u, t] != 0:
                r, back = spacing * t % stride, spacing * t // stride
                beside[r, parts[r]] = at(lines[u, (margin - back) * lanes :])
                along[r, parts[r]] = taps[u, t]
                parts[r] += 1
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
                one, size, at(beside[r]), parts[r], at(along[r]),
                at(sorted_[r * places * lanes :]), places * lanes, lanes,
            )  # fmt: skip
        if lanes == 1:
            _unsort(sorted_, edges, copied, before, stride, places, image[plane, m])
        else:
            _unsort_together(
                one, sorted_, edges, copied, before, stride, places, image[plane, m]
            )  # fmt: skip


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
def _analyse_groups(
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
def _adjoint_groups(
    one, size, number, image, plane_bytes, height, width, sources, source_bytes, which, factors,
    taps, starts, its_bands, users, weights, edges, copied, places, before, stride, spacing, h, w,
    start, stop,
):  # fmt: skip
    """Transpose of `_analyse_groups`; a band is the sum of the `sources` that `which` says."""
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


def used_taps(taps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Taps without those that a pair of bands does not use, which ones are left, and how many."""
    pairs = len(taps) // 2
    packed, used = np.zeros_like(taps), np.zeros((pairs, taps.shape[1]), np.int64)
    counts = np.zeros(pairs, np.int64)
    for pair in range(pairs):
        both = slice(2 * pair, 2 * pair + 2)
        kept = np.flatnonzero(taps[both].any(axis=0))
        packed[both, : kept.size], used[pair, : kept.size] = taps[both, kept], kept
        counts[pair] = kept.size
    return packed, used, counts


def planes_of(part: Tensor, dims: int = 2) -> tuple[list[int], list[int]]:
    """Addresses of the bands of the first plane, and bytes from each to that of the next plane."""
    band = part.shape[-dims:].numel() * part.element_size()
    inside = part.shape[2:-dims].numel()
    return [part.data_ptr() + index * band for index in range(inside)], [inside * band] * inside


def _oriented_sources() -> tuple[np.ndarray, np.ndarray]:
    """Each of the sixteen bands as a sum of planes, the four quads and then the twelve details:
    which planes, and times what."""
    which, factors = np.zeros((16, 2), np.int64), np.zeros((16, 2))
    for q in (0, 1):
        for p in (0, 1):
            band = 8 * q + 2 * p
            which[band, 0], factors[band, 0] = 2 * p + q, 1
    for first, second, plus, minus in MIXED:
        for part, plane in enumerate((plus, minus)):
            for band, sign in ((first, 1), (second, 1 - 2 * part)):
                which[band, part], factors[band, part] = 4 + plane, sign * 0.5**0.5
    return which, factors


def run(bank_map: BankMap, image: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `image`, or `image` from `bands`; float32 or float64.

    Args:
        bank_map: which map.
        image: (B, C, H, W), planes contiguous in themselves and evenly spaced.
        bands: the coefficients that the map has, in `BankMap`'s order, contiguous.
    """
    bank, mode, (height, width) = bank_map.bank, bank_map.mode, bank_map.size
    size, planes = image.element_size(), image.shape[0] * image.shape[1]
    taps = np.array(bank.taps, np.float32 if size == 4 else np.float64)
    one = taps.dtype.type(1)
    rows, columns = (
        axis_tables(bank, height, mode, taps.dtype),
        axis_tables(bank, width, mode, taps.dtype),
    )
    sorting = columns.edges, columns.copied, columns.places
    h, w = bank.count(height), bank.count(width)
    shared = *sorting, bank.before, bank.stride, bank.spacing, h, w
    oriented = bank_map.layout == "oriented"
    together = planes >= LANES and max(height, width) <= _SHORT
    groups = -(-planes // LANES)

    if not bank_map.transposed:
        targets, target_bytes = _bands_of(bands[-1:] if oriented else bands)
        there = image.data_ptr(), image.stride(1) * size
        lists = *used_taps(taps), rows.sources, *shared

        def analyse(start: int, stop: int) -> None:
            analyse_rows(
                one, size, *there, width, targets, target_bytes, approx, *lists, start, stop
            )

        def analyse_together(start: int, stop: int) -> None:
            _analyse_groups(
                one, size, planes, *there, height, width, targets, target_bytes,
                bands[0].data_ptr(), 2 * h if oriented else 0, *lists, start, stop,
            )  # fmt: skip

        if together:
            share(analyse_together, groups, image.numel())
            return
        shape = (planes, 2 * h, 2 * w) if oriented else (0, 0, 0)
        approx = bands[0].detach().numpy().reshape(-1)[: np.prod(shape)].reshape(shape)
        share(analyse, planes * h, image.numel())
        return
    if oriented:
        quads = bands[0].reshape(planes, h, 2, w, 2).permute(0, 2, 4, 1, 3).contiguous()
        bands = [quads.flatten(1, 2).unflatten(0, (-1, 1)), bands[1]]
        which, factors = _oriented_sources()
    else:
        which = np.arange(len(taps) ** 2)[:, None]
        factors = np.ones(which.shape)
    sources, source_bytes = _bands_of(bands)
    factors = factors.astype(taps.dtype)
    of_rows = rows.starts, rows.bands, rows.users, rows.weights, *shared

    def adjoint(start: int, stop: int) -> None:
        pixels = image.detach().numpy().reshape(planes, height, width)
        adjoint_rows(
            one, size, pixels, sources[which], source_bytes[which], factors, taps, *of_rows, start,
            stop,
        )  # fmt: skip

    def adjoint_together(start: int, stop: int) -> None:
        _adjoint_groups(
            one, size, planes, image.data_ptr(), image.stride(1) * size, height, width, sources,
            source_bytes, which, factors, taps, *of_rows, start, stop,
        )  # fmt: skip

    if together:
        share(adjoint_together, groups, image.numel())
    else:
        share(adjoint, planes * height, image.numel())


def _bands_of(parts: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """`planes_of` all of them."""
    places, steps = zip(*map(planes_of, parts), strict=True)
    return np.concatenate(places), np.concatenate(steps)
