"""One level of Haar of volumes with even sides on the CPU: every voxel is read once.

Two rows of two slices are four rows of two images: each pair is a row of blocks
(`_kernels.haar_cpu_rows`), and the sums and differences of what both give are the eight bands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wavevit.wavelets._kernels.bank_cpu import at
from wavevit.wavelets._kernels.bank_cpu_code import weigh_twice
from wavevit.wavelets._kernels.haar_cpu_code import compiled
from wavevit.wavelets._kernels.haar_cpu_rows import merge_row, split_row

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import BankMap

__all__ = ["analyse_haar", "is_butterfly", "merge_haar"]

_TAPS = np.sqrt(0.5) * np.array([[1.0, 1.0], [1.0, -1.0]])


def is_butterfly(bank_map: BankMap) -> bool:
    """Whether blocks of 2 x 2 x 2 voxels are this map: Haar's, and no side is extended."""
    bank = bank_map.bank
    if (len(bank.taps[0]), bank.stride, bank.spacing, bank.before) != (2, 2, 1, 0):
        return False
    even = not any(side % 2 for side in bank_map.size)
    return even and bool(np.abs(np.array(bank.taps) - _TAPS).max() < 1e-15)


@compiled
def analyse_haar(
    half, size, volumes, plane_bytes, targets, target_bytes, taps, d, h, w, start, stop
):
    """Slices `start` to `stop` of the coefficients of all volumes; bands lie at `targets`."""
    line, row_bytes = 2 * w * size, w * size
    quads, both = np.empty((2, 4, w), taps.dtype), np.empty(2, np.int64)
    a, b = at(quads[0]), at(quads[1])
    ad, da, dd = row_bytes, 2 * row_bytes, 3 * row_bytes  # bands behind the first, in this order
    low, high = at(taps[0]), at(taps[1])
    for unit in range(start, stop):
        plane, k = unit // d, unit % d
        for row in range(h):
            top = volumes + plane * plane_bytes + (4 * k * h + 2 * row) * line
            split_row(half, size, top, top + line, a, a + da, a + ad, a + dd, w)
            top += 2 * h * line
            split_row(half, size, top, top + line, b, b + da, b + ad, b + dd, w)
            place = (k * h + row) * row_bytes
            for band in range(4):
                both[0], both[1] = a + band * row_bytes, b + band * row_bytes
                weigh_twice(
                    half, size, at(both), 2,
                    low, targets[band] + plane * target_bytes[band] + place,
                    high, targets[4 + band] + plane * target_bytes[4 + band] + place, w,
                )  # fmt: skip


@compiled
def merge_haar(half, size, volumes, sources, source_bytes, taps, d, h, w, start, stop):
    """Slices `start` to `stop` of the coefficients of all volumes, back to pairs of slices."""
    line, row_bytes = 2 * w * size, w * size
    quads, both = np.empty((2, 4, w), taps.dtype), np.empty(2, np.int64)
    a, b = at(quads[0]), at(quads[1])
    ad, da, dd = row_bytes, 2 * row_bytes, 3 * row_bytes  # bands behind the first, in this order
    first, second = at(taps[0]), at(taps[1])  # its own transpose
    for unit in range(start, stop):
        plane, k = unit // d, unit % d
        for row in range(h):
            place = (k * h + row) * row_bytes
            for band in range(4):
                both[0] = sources[band] + plane * source_bytes[band] + place
                both[1] = sources[4 + band] + plane * source_bytes[4 + band] + place
                weigh_twice(
                    half, size, at(both), 2,
                    first, a + band * row_bytes, second, b + band * row_bytes, w,
                )  # fmt: skip
            top = volumes + (4 * (plane * d + k) * h + 2 * row) * line
            merge_row(half, size, top, top + line, a, a + da, a + ad, a + dd, w)
            top += 2 * h * line
            merge_row(half, size, top, top + line, b, b + da, b + ad, b + dd, w)
