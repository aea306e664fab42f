"""Filter banks of signals on the CPU: long lines, a piece at a time.

A piece of a line is sorted by residue modulo the stride, borders included; its coefficients are
then weighted sums of shifted views, as along a row of an image (`_kernels.bank_cpu`). A piece fits
a cache, so a signal may be as long as it likes. Which sample stands beyond either end comes from
tables.

This module imports numba: see `_kernels.bank_cpu`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu import planes_of, used_taps
from wavevit.wavelets._kernels.bank_cpu_code import weigh_once, weigh_twice
from wavevit.wavelets._kernels.bank_cpu_rows import at, taps_by_residue
from wavevit.wavelets._kernels.bank_tables import sources
from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import compiled
from wavevit.wavelets._kernels.haar_cpu_grids import is_butterfly, merge_lines, split_lines

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import Bank, BankMap

__all__ = ["run"]

_PIECE = 1 << 11  # coefficients of each band: with all that they are made of, 32 KB in float32


@compiled
def _sort_piece(line, first, count, before, head, tail, stride, places, sorted_):
    """`count` places of the extended line from `first` on, sorted by residue modulo the stride."""
    inside = min(max(before - first, 0), count)
    outside = min(max(before + line.size - first, inside), count)
    for i in range(inside):
        s = head[first + i]
        sorted_[i % stride * places + i // stride] = line[s] if s >= 0 else 0
    for q in range(min(stride, outside - inside)):
        i = inside + q
        target = sorted_[i % stride * places + i // stride :]
        source = line[first + i - before :]
        if stride == 2:
            for j in range((outside - i + 1) // 2):
                target[j] = source[2 * j]
        else:
            for j in range((outside - i + stride - 1) // stride):
                target[j] = source[stride * j]
    for i in range(outside, count):
        s = tail[first + i - before - line.size]
        sorted_[i % stride * places + i // stride] = line[s] if s >= 0 else 0


@compiled
def _analyse(
    one, size, piece, lines, step, side, targets, target_bytes, taps, used, counts, head, tail,
    before, stride, spacing, w, start, stop,
):  # fmt: skip
    """Pieces `start` to `stop` of the coefficients of all lines; bands lie at `targets`."""
    length = taps.shape[1]
    pieces, reach = (w + piece - 1) // piece, spacing * (length - 1) + 1
    places = piece + reach // stride + 1
    sorted_ = np.zeros(stride * places, taps.dtype)
    weights, beside = at(taps), np.empty(length, np.int64)
    for n in range(counts[0]):
        place = spacing * used[0, n]
        beside[n] = at(sorted_[place % stride * places + place // stride :])
    for unit in range(start, stop):
        plane, k = unit // pieces, unit % pieces * piece
        count = min(piece, w - k)
        line = lines[plane * step : plane * step + side]
        read = stride * (count - 1) + reach
        _sort_piece(line, stride * k, read, before, head, tail, stride, places, sorted_)
        low = targets[0] + plane * target_bytes[0] + k * size
        high = targets[1] + plane * target_bytes[1] + k * size
        weigh_twice(
            one, size, at(beside), counts[0], weights, low, weights + length * size, high, count
        )


@compiled
def _read_part(band, first, count, part):
    """`count` coefficients from `first` on, zeros where there are none."""
    begin = min(max(-first, 0), count)
    end = min(max(band.size - first, begin), count)
    part[:begin] = 0
    for i in range(begin, end):
        part[i] = band[first + i]
    part[end:count] = 0


@compiled
def _unsort_piece(line, first, count, before, stride, sorted_):
    """Groups of `stride` samples from group `first` on, out of what `_adjoint` has sorted."""
    base, side = before // stride, line.size
    if stride == 2 and stride * (first + count) <= side:
        even = sorted_[before % 2]
        odd = sorted_[(before + 1) % 2, (before + 1) // 2 - base :]
        target = line[2 * first :]
        for i in range(count):
            target[2 * i] = even[i]
            target[2 * i + 1] = odd[i]
        return
    for q in range(stride):
        source = sorted_[(before + q) % stride, (before + q) // stride - base :]
        target = line[stride * first + q :]
        for i in range(min((target.size + stride - 1) // stride, count)):
            target[stride * i] = source[i]


@compiled
def _adjoint(
    one, size, piece, lines, step, side, lows, highs, offset, band_step, taps, head, tail,
    before, stride, spacing, w, start, stop,
):  # fmt: skip
    """Lines `start` to `stop`, a piece at a time; what stands beyond the ends comes last."""
    bands, length = taps.shape
    groups, base = (side + stride - 1) // stride, before // stride
    margin = spacing * (length - 1) // stride + 1
    parts = np.zeros((bands, margin + piece + 1), taps.dtype)
    sorted_ = np.empty((stride, piece + 1), taps.dtype)
    beside, along, numbers = taps_by_residue(taps, parts, margin, stride, spacing, 1)
    reach = stride * (w - 1) + spacing * (length - 1) + 1  # places that coefficients read
    for plane in range(start, stop):
        line = lines[plane * step : plane * step + side]
        low = lows[plane * band_step : plane * band_step + w]
        high = highs[plane * band_step + offset : plane * band_step + offset + w]
        for first in range(0, groups, piece):
            count = min(piece, groups - first)
            _read_part(low, base + first - margin, margin + count + 1, parts[0])
            _read_part(high, base + first - margin, margin + count + 1, parts[1])
            for r in range(stride):
                weigh_once(
                    one, size, at(beside[r]), numbers[r], at(along[r]), at(sorted_[r]), count + 1
                )
            _unsort_piece(line, first, count, before, stride, sorted_)
        outside = before + max(reach - before - side, 0)
        for n in range(outside):
            place = n if n < before else side + n
            s = head[n] if n < before else tail[n - before]
            if s >= 0:
                total = one - one
                for t in range(length):
                    k = place - spacing * t
                    if k >= 0 and k % stride == 0 and k // stride < w:
                        total += taps[0, t] * low[k // stride] + taps[1, t] * high[k // stride]
                line[s] += total


@lru_cache(maxsize=128)
def _ends(bank: Bank, side: int, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """The samples that stand before and behind a line, −1 for a zero."""
    reach = bank.stride * (bank.count(side) - 1) + bank.spacing * (len(bank.taps[0]) - 1) + 1
    table = sources(side, bank.before, max(reach - bank.before - side, 0), mode)
    return table[: bank.before].copy(), table[bank.before + side :].copy()


def run(bank_map: BankMap, lines: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `lines`, or `lines` from `bands`; float32 or float64.

    Args:
        bank_map: which map; of two bands.
        lines: (B, C, L), lines contiguous in themselves and evenly spaced.
        bands: the coefficients that the map has, in `BankMap`'s order, contiguous.
    """
    bank, (side,) = bank_map.bank, bank_map.size
    size, planes, w = lines.element_size(), lines.shape[0] * lines.shape[1], bank.count(side)
    taps = np.array(bank.taps, np.float32 if size == 4 else np.float64)
    one = taps.dtype.type(1)
    places, bytes_ = zip(*(planes_of(part, 1) for part in bands), strict=True)
    bands_at, band_bytes = np.concatenate(places), np.concatenate(bytes_)
    pieces = planes * -(-w // _PIECE)
    if is_butterfly(bank_map):
        pairs = merge_lines if bank_map.transposed else split_lines
        where = lines.data_ptr(), lines.stride(1) * size, bands_at, band_bytes, w

        def butterfly(start: int, stop: int) -> None:
            pairs(taps.dtype.type(0.5), size, _PIECE, *where, start, stop)

        share(butterfly, pieces, lines.numel())
        return
    head, tail = _ends(bank, side, bank_map.mode)
    steps = head, tail, bank.before, bank.stride, bank.spacing, w
    step = lines.stride(1)
    values = lines.detach().as_strided(((planes - 1) * step + side,), (1,)).numpy()
    shared = one, size, _PIECE, values, step, side

    if bank_map.transposed:
        # The flat arrays that hold the bands of the first line, and how far it is to the next.
        flat = [part.detach().flatten().numpy() for part in bands]
        offset, band_step = (w, 2 * w) if bank_map.layout == "joined" else (0, w)
        sources_ = flat[0], flat[-1], offset, band_step

        def adjoint(start: int, stop: int) -> None:
            _adjoint(*shared, *sources_, taps, *steps, start, stop)

        share(adjoint, planes, lines.numel())
        return

    def analyse(start: int, stop: int) -> None:
        _analyse(*shared, bands_at, band_bytes, *used_taps(taps), *steps, start, stop)

    share(analyse, pieces, lines.numel())
