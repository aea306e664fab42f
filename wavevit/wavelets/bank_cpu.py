"""Separable filter banks on the CPU: one read of the image, one write of the coefficients.

The unit of work is one row of results. Forward, a row of each vertical band is a weighted sum of
image rows; its samples are sorted by residue modulo the stride, borders included, and weighted
again. Backward is the same read from its end. What lies between the two steps is one row long and
never leaves the cache. Which sample stands where, beyond the border too, comes from tables, so the
loops know no mode.

This module imports numba, so it is imported at the first transform of a CPU tensor and not before.
`wavevit.wavelets.bank_maps` calls `run` with tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets.bank_cpu_code import weigh_once, weigh_twice
from wavevit.wavelets.boundary import extend
from wavevit.wavelets.cpu_threads import share
from wavevit.wavelets.haar_cpu_code import compiled

if TYPE_CHECKING:
    from wavevit.wavelets.bank_maps import Bank, BankMap

__all__ = ["run"]


class _Axis(NamedTuple):
    """One axis as tables. A row's samples are sorted: ``stride · j + r`` lies at ``r · places + j``.

    Attributes:
        sources: the sample that stands at each place of the extended signal, −1 for a zero.
        places: samples of one residue.
        edges: where in the sorted row lies what the plain loop over the signal does not reach.
        copied: the samples that stand there, −1 for a zero.
        starts: where the list of each sample begins in `bands`, `users` and `weights`.
        bands: the coefficients that a sample has a part in: their band,
        users: their place in it,
        weights: and how much of it.
    """

    sources: np.ndarray
    places: int
    edges: np.ndarray
    copied: np.ndarray
    starts: np.ndarray
    bands: np.ndarray
    users: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=128)
def _axis(bank: Bank, side: int, mode: str, dtype: np.dtype) -> _Axis:
    count, length, number = bank.count(side), len(bank.taps[0]), len(bank.taps)
    before, stride = bank.before, bank.stride
    reach = stride * (count - 1) + bank.spacing * (length - 1) + 1
    with torch.inference_mode(False):
        samples = torch.arange(1, side + 1).view(1, 1, 1, side)
        sources = extend(samples, -1, before, max(reach - before - side, 0), mode)
    sources = sources.flatten().numpy() - 1
    place = np.arange(sources.size)
    outside = (place < before) | (place >= before + side // stride * stride)
    places = -(-sources.size // stride)
    edges = (place % stride * places + place // stride)[outside]

    k, tap = np.meshgrid(np.arange(count), np.arange(length), indexing="ij")
    read = np.tile(sources[stride * k + bank.spacing * tap].ravel(), number)
    bands = np.repeat(np.arange(number), count * length)
    users = np.tile(k.ravel(), number)
    weights = np.concatenate([np.tile(taps, count) for taps in bank.taps])
    kept = np.flatnonzero((read >= 0) & (weights != 0))
    kept = kept[np.argsort(read[kept], kind="stable")]
    starts = np.searchsorted(read[kept], np.arange(side + 1))
    lists = bands[kept], users[kept], weights[kept].astype(dtype)
    return _Axis(sources, places, edges, sources[outside], starts, *lists)


@compiled
def _at(array):
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
def _analyse(
    one, size, image, plane_bytes, width, targets, target_bytes, taps, rows, edges, copied, places,
    before, stride, spacing, h, w, start, stop,
):  # fmt: skip
    bands, length = taps.shape
    weights, tap_bytes = _at(taps), length * size
    nothing = np.zeros(width, taps.dtype)
    lines = np.empty((bands, width), taps.dtype)
    sorted_ = np.zeros(stride * places, taps.dtype)
    above, beside = np.empty(length, np.int64), np.empty(length, np.int64)
    for t in range(length):
        r, j = spacing * t % stride, spacing * t // stride
        beside[t] = _at(sorted_[r * places + j :])
    for unit in range(start, stop):
        plane, k = unit // h, unit % h
        for t in range(length):
            s = rows[stride * k + spacing * t]
            above[t] = _at(nothing)
            if s >= 0:
                above[t] = image + plane * plane_bytes + s * width * size
        for v in range(0, bands, 2):
            weigh_twice(
                one, size, _at(above), length,
                weights + v * tap_bytes, _at(lines[v]),
                weights + (v + 1) * tap_bytes, _at(lines[v + 1]), width,
            )  # fmt: skip
        for v in range(bands):
            _sort(lines[v], edges, copied, before, stride, places, sorted_)
            for u in range(0, bands, 2):
                here, next_ = u * bands + v, (u + 1) * bands + v
                weigh_twice(
                    one, size, _at(beside), length,
                    weights + u * tap_bytes,
                    targets[here] + plane * target_bytes[here] + k * w * size,
                    weights + (u + 1) * tap_bytes,
                    targets[next_] + plane * target_bytes[next_] + k * w * size, w,
                )  # fmt: skip


@compiled
def _adjoint(
    one, size, image, sources, source_bytes, taps, starts, its_bands, users, weights, edges,
    copied, places, before, stride, spacing, h, w, start, stop,
):  # fmt: skip
    bands, length = taps.shape
    height, width = image.shape[1:]
    margin = spacing * (length - 1) // stride + 1
    lines = np.zeros((bands, margin + places), taps.dtype)  # zeros on both sides of `w`
    sorted_ = np.empty(stride * places, taps.dtype)
    below = np.empty(weights.size, np.int64)
    beside, parts = np.empty((stride, bands * length), np.int64), np.zeros(stride, np.int64)
    shares = np.empty((stride, bands * length), taps.dtype)
    for u in range(bands):
        for t in range(length):
            r, back = spacing * t % stride, spacing * t // stride
            beside[r, parts[r]] = _at(lines[u, margin - back :])
            shares[r, parts[r]] = taps[u, t]
            parts[r] += 1
    for unit in range(start, stop):
        plane, m = unit // height, unit % height
        count = starts[m + 1] - starts[m]
        for u in range(bands):
            for t in range(count):
                band, k = u * bands + its_bands[starts[m] + t], users[starts[m] + t]
                below[t] = sources[band] + plane * source_bytes[band] + k * w * size
            weigh_once(
                one, size, _at(below), count, _at(weights[starts[m] :]),
                _at(lines[u, margin:]), w,
            )  # fmt: skip
        for r in range(stride):
            weigh_once(
                one, size, _at(beside[r]), parts[r], _at(shares[r]),
                _at(sorted_[r * places :]), places,
            )  # fmt: skip
        _unsort(sorted_, edges, copied, before, stride, places, image[plane, m])


def run(bank_map: BankMap, image: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `image`, or `image` from `bands`; float32 or float64.

    Args:
        bank_map: which map.
        image: (B, C, H, W), planes contiguous in themselves and evenly spaced.
        bands: the coefficients that the map has, in `BankMap`'s order, contiguous.
    """
    bank, mode, (height, width) = bank_map.bank, bank_map.mode, bank_map.size
    size = image.element_size()
    taps = np.array(bank.taps, np.float32 if size == 4 else np.float64)
    rows, columns = _axis(bank, height, mode, taps.dtype), _axis(bank, width, mode, taps.dtype)
    h, w = bands[0].shape[-2:]
    places, steps = [], []
    for part in bands:
        inside = part.shape[2] if part.ndim == 5 else 1
        places += [part.data_ptr() + band * h * w * size for band in range(inside)]
        steps += [inside * h * w * size] * inside
    targets, target_bytes = np.array(places), np.array(steps)
    planes = image.shape[0] * image.shape[1]
    sorting = columns.edges, columns.copied, columns.places
    shared = *sorting, bank.before, bank.stride, bank.spacing, h, w

    def analyse(start: int, stop: int) -> None:
        _analyse(
            taps.dtype.type(1), size, image.data_ptr(), image.stride(1) * size, width, targets,
            target_bytes, taps, rows.sources, *shared, start, stop,
        )  # fmt: skip

    def adjoint(start: int, stop: int) -> None:
        _adjoint(
            taps.dtype.type(1), size, pixels, targets, target_bytes, taps, rows.starts,
            rows.bands, rows.users, rows.weights, *shared, start, stop,
        )  # fmt: skip

    if bank_map.transposed:
        pixels = image.detach().numpy().reshape(planes, height, width)
        share(adjoint, planes * height, image.numel())
    else:
        share(analyse, planes * h, image.numel())
