"""Filter banks of volumes on the CPU: sums of slices, and the loops of images for each slice.

Forward, two slices are weighted sums of the volume's slices; each is an image and is filtered as
one (`_kernels.bank_cpu`). Backward is the same read from its end: slices of coefficients are summed
first, and give a slice of the volume. What lies between the two steps is two slices large.

This module imports numba: see `_kernels.bank_cpu`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu import planes_of, used_taps
from wavevit.wavelets._kernels.bank_cpu_code import weigh_once, weigh_twice
from wavevit.wavelets._kernels.bank_cpu_rows import adjoint_rows, analyse_rows, at
from wavevit.wavelets._kernels.bank_tables import axis_tables
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled
from wavevit.wavelets._kernels.haar_cpu_grids import (
    is_butterfly,
    merge_volumes,
    split_volumes,
)

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import BankMap

__all__ = ["run"]


@compiled
def _analyse(
    one, size, volumes, plane_bytes, height, width, targets, target_bytes, none, taps, used,
    counts, slices, rows, edges, copied, places, before, stride, spacing, d, h, w, start, stop,
):  # fmt: skip
    """Slices `start` to `stop` of the coefficients of all volumes; bands lie at `targets`."""
    length, slice_bytes = taps.shape[1], height * width * size
    pair = np.empty((2, height * width), taps.dtype)
    nothing = np.zeros(height * width, taps.dtype)
    behind, where = np.empty(length, np.int64), np.empty(4, np.int64)
    no_planes = np.zeros(4, np.int64)
    for unit in range(start, stop):
        plane, k = unit // d, unit % d
        for n in range(counts[0]):
            s = slices[stride * k + spacing * used[0, n]]
            behind[n] = at(nothing)
            if s >= 0:
                behind[n] = volumes + plane * plane_bytes + s * slice_bytes
        weigh_twice(
            one, size, at(behind), counts[0],
            at(taps[0]), at(pair[0]), at(taps[1]), at(pair[1]), height * width,
        )  # fmt: skip
        for t in range(2):
            for u in range(2):
                for v in range(2):  # the loops of images count the bands of columns first
                    band = 4 * t + 2 * v + u
                    where[2 * u + v] = targets[band] + plane * target_bytes[band] + k * h * w * size
            analyse_rows(
                one, size, at(pair[t]), 0, width, where, no_planes, none, taps, used, counts, rows,
                edges, copied, places, before, stride, spacing, h, w, 0, h,
            )  # fmt: skip


@compiled
def _adjoint(
    one, size, volumes, sources, source_bytes, factors, taps, first, its_bands, users, weights,
    starts, row_bands, row_users, row_weights, edges, copied, places, before, stride, spacing, h, w,
    start, stop,
):  # fmt: skip
    """Slices `start` to `stop` of all volumes."""
    depth, height, width = volumes.shape[1:]
    bands = np.empty((4, h * w), taps.dtype)
    below, shares = np.empty(weights.size, np.int64), np.empty(weights.size, taps.dtype)
    where, no_planes = np.empty((4, 1), np.int64), np.zeros((4, 1), np.int64)
    for u in range(2):
        for v in range(2):
            where[2 * u + v, 0] = at(bands[2 * v + u])
    for unit in range(start, stop):
        plane, m = unit // depth, unit % depth
        for band in range(4):
            count = 0
            for t in range(first[m], first[m + 1]):
                source = 4 * its_bands[t] + band
                place = sources[source] + plane * source_bytes[source]
                below[count] = place + users[t] * h * w * size
                shares[count] = weights[t]
                count += 1
            weigh_once(one, size, at(below), count, at(shares), at(bands[band]), h * w)
        adjoint_rows(
            one, size, volumes[plane, m].reshape((1, height, width)), where, no_planes, factors,
            taps, starts, row_bands, row_users, row_weights, edges, copied, places, before, stride,
            spacing, h, w, 0, height,
        )  # fmt: skip


def run(bank_map: BankMap, volumes: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `volumes`, or `volumes` from `bands`; float32 or float64.

    Args:
        bank_map: which map; of two bands an axis.
        volumes: (B, C, D, H, W), planes contiguous in themselves and evenly spaced.
        bands: the coefficients that the map has, in `BankMap`'s order, contiguous.
    """
    bank, mode, (depth, height, width) = bank_map.bank, bank_map.mode, bank_map.size
    size, planes = volumes.element_size(), volumes.shape[0] * volumes.shape[1]
    taps = np.array(bank.taps, np.float32 if size == 4 else np.float64)
    one = taps.dtype.type(1)
    d, h, w = map(bank.count, bank_map.size)
    places, bytes_ = zip(*(planes_of(part, 3) for part in bands), strict=True)
    bands_at, band_bytes = np.concatenate(places), np.concatenate(bytes_)

    if is_butterfly(bank_map):
        blocks = merge_volumes if bank_map.transposed else split_volumes
        where = volumes.data_ptr(), volumes.stride(1) * size, bands_at, band_bytes, d, h, w

        def butterfly(start: int, stop: int) -> None:
            blocks(taps.dtype.type(0.5), size, *where, start, stop)

        share(butterfly, planes * d, volumes.numel())
        return
    slices, rows, columns = (axis_tables(bank, n, mode, taps.dtype) for n in bank_map.size)
    sorting = columns.edges, columns.copied, columns.places
    steps = *sorting, bank.before, bank.stride, bank.spacing
    if bank_map.transposed:
        values = volumes.detach().numpy().reshape(planes, depth, height, width)
        factors = np.ones((4, 1), taps.dtype)
        lists = [(axis.starts, axis.bands, axis.users, axis.weights) for axis in (slices, rows)]

        def adjoint(start: int, stop: int) -> None:
            _adjoint(
                one, size, values, bands_at, band_bytes, factors, taps, *lists[0], *lists[1],
                *steps, h, w, start, stop,
            )  # fmt: skip

        share(adjoint, planes * depth, volumes.numel())
        return
    none = np.empty((0, 0, 0), taps.dtype)  # the quads of a dual tree

    def analyse(start: int, stop: int) -> None:
        _analyse(
            one, size, volumes.data_ptr(), volumes.stride(1) * size, height, width, bands_at,
            band_bytes, none, *used_taps(taps), slices.sources, rows.sources, *steps, d, h, w,
            start, stop,
        )  # fmt: skip

    share(analyse, planes * d, volumes.numel())
