"""Haar on the CPU at the speed of a copy: loops that numba compiles at their first use.

One level reads every pixel once and writes every coefficient once; several levels work on strips
of ``2**level`` rows, so that what one level hands to the next never leaves the cache. The loops
are plain Python under numba; only the butterfly of eight blocks is spelled out in LLVM vectors,
because LLVM's own vectoriser gives up on six streams that might overlap (measured: 1.0 to 4.5
times a clone, against 1.0 to 1.5). LLVM lowers those vectors to what the machine has.

Kernels see addresses, numbered in bytes, of contiguous tensors. Work is cut into units (a row of
blocks, or a strip) and handed to as many threads as torch would use.

This module imports numba, so it is imported at the first transform of a CPU tensor and not
before. `_engine.haar_maps` calls what `computes` gives with tensors whose shapes fit;
nothing else should.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets._kernels.cpu_threads import share
from wavevit.wavelets._kernels.haar_cpu_code import (
    compiled,
    expect_reads,
    expect_writes,
    load,
    settle,
    store,
)
from wavevit.wavelets._kernels.haar_cpu_rows import merge_row, split_row, split_row_past
from wavevit.wavelets._kernels.haar_cpu_undecimated import undecimated, undecimated_adjoint

if TYPE_CHECKING:
    from wavevit.wavelets._engine.haar_maps import HaarMap

__all__ = ["computes"]

# The factor of the butterfly; numba specialises every loop by its type.
_HALF = {torch.float32: np.float32(0.5), torch.float64: np.float64(0.5)}


class Ahead(IntEnum):
    """What memory a pass asks for while it is at something else."""

    NOTHING = 0
    NEXT_PLANE = 1
    NEXT_ROWS = 2


# The bytes of a plane between which the next one is asked for, the longest row of pixels up to
# which it is rows, and the batch from which it is anything: `_memory`.
_SHORTEST, _LONGEST, _LONGEST_ROW, _FAR = 2 << 10, 10 << 10, 1 << 10, 2 << 20
_ROWS_AHEAD = 8  # of pixels
# Coefficients are stored past the caches (`_memory`) for a batch of so many bytes or more, up to
# so many, by vectors of so many blocks, at addresses that so many bytes divide.
_LONG, _FRESH, _LANES, _ALIGNED = 16 << 20, 32 << 20, 4, 32


@compiled
def _dwt(half, size, ahead, past, image, approx, details, apart, height, width, start, stop):
    """`apart`: how many bands lie together with each plane of `details`, 3 or, with `approx`, 4;
    `ahead`: what each row asks for; `past`: whether coefficients are stored past the caches."""
    h, w = (height + 1) // 2, (width + 1) // 2
    line, short = width * size, w * size
    band = h * short
    between = band if apart == 3 else 4 * band
    plane, row = start // h, start % h  # counted on from here: a division costs as much as a step
    top = image + (plane * height + 2 * row) * line
    a, e = approx + plane * between + row * short, details + plane * apart * band + row * short
    for _ in range(start, stop):
        bottom = top + line if 2 * row + 1 < height else top  # the last row, repeated
        if ahead == Ahead.NEXT_ROWS:
            expect_reads(top + _ROWS_AHEAD * line, 2 * line)
        elif ahead == Ahead.NEXT_PLANE:
            expect_reads(top + height * line, 2 * line)
            expect_writes(details + ((plane + 1) * h + row) * apart * short, apart * short)
        if past:
            split_row_past(half, size, top, bottom, a, e, e + band, e + 2 * band, w)
        else:
            split_row(half, size, top, bottom, a, e, e + band, e + 2 * band, width // 2)
        if width % 2:  # the last column, repeated: no horizontal difference
            o, edge = (w - 1) * size, (width - 1) * size
            p, r = load(half, top + edge), load(half, bottom + edge)
            store(half, a + o, p + r)
            store(half, e + o, p - r)
            store(half, e + band + o, half - half)
            store(half, e + 2 * band + o, half - half)
        row, top, a, e = row + 1, bottom + line, a + short, e + short
        if row == h:
            plane, row = plane + 1, 0
            a, e = approx + plane * between, details + plane * apart * band
    if past:
        settle()


@compiled
def _dwt_adjoint(
    half, size, ahead, past, image, approx, details, apart, height, width, start, stop
):
    h, w = (height + 1) // 2, (width + 1) // 2
    line, short = width * size, w * size
    band = h * short
    between = band if apart == 3 else 4 * band
    plane, row = start // h, start % h
    edge, o = (width - 1) * size, (w - 1) * size
    top = image + (plane * height + 2 * row) * line
    a, e = approx + plane * between + row * short, details + plane * apart * band + row * short
    for _ in range(start, stop):
        bottom = top + line
        if ahead == Ahead.NEXT_PLANE:
            expect_writes(top + height * line, 2 * line)
            expect_reads(details + ((plane + 1) * h + row) * apart * short, apart * short)
        if 2 * row + 1 < height:
            merge_row(half, size, top, bottom, a, e, e + band, e + 2 * band, width // 2)
            if width % 2:  # what the repeated column received goes to the column
                p, q = load(half, a + o), load(half, e + o)
                store(half, top + edge, p + q)
                store(half, bottom + edge, p - q)
        else:  # and what the repeated row received to the row
            bottom = top
            for j in range(width // 2):
                p, q = load(half, a + j * size), load(half, e + band + j * size)
                store(half, top + 2 * j * size, p + q)
                store(half, top + (2 * j + 1) * size, p - q)
            if width % 2:
                store(half, top + edge, load(half, a + o) + load(half, a + o))
        row, top, a, e = row + 1, bottom + line, a + short, e + short
        if row == h:
            plane, row = plane + 1, 0
            a, e = approx + plane * between, details + plane * apart * band


@compiled
def _pyramid(half, size, ahead, scratch, image, bands, level, height, width, start, stop):
    """`bands` holds the addresses of the approximation and of the details, fine to coarse."""
    strips = height >> level
    spare = (width * size << level) // 2
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = image + (plane * height + (strip << level)) * width * size
        if ahead == Ahead.NEXT_PLANE:
            share, third = width * size << level, 3 * width * size << level >> 2
            expect_reads(source + height * width * size, share)
            expect_writes(bands[1] + ((plane + 1) * strips + strip) * third, third)
        for step in range(1, level + 1):
            rows, h, w = 1 << (level - step), height >> step, width >> step
            target = scratch.ctypes.data + step % 2 * spare
            row_bytes, band = w * size, h * w * size
            if step == level:
                target = bands[0] + (plane * h + strip) * row_bytes
            detail = bands[step] + (plane * 3 * h + strip * rows) * row_bytes
            for row in range(rows):
                top, o = source + 4 * row * row_bytes, row * row_bytes
                e = detail + o
                split_row(
                    half, size, top, top + 2 * row_bytes, target + o, e, e + band, e + 2 * band, w
                )
            source = target


@compiled
def _pyramid_inverse(half, size, ahead, scratch, image, bands, level, height, width, start, stop):
    strips = height >> level
    spare = (width * size << level) // 2
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = bands[0] + (plane * strips + strip) * (width >> level) * size
        if ahead == Ahead.NEXT_PLANE:
            share, third = width * size << level, 3 * width * size << level >> 2
            expect_writes(image + ((plane + 1) * strips + strip) * share, share)
            expect_reads(bands[1] + ((plane + 1) * strips + strip) * third, third)
        for step in range(level, 0, -1):
            rows, h, w = 1 << (level - step), height >> step, width >> step
            target = scratch.ctypes.data + step % 2 * spare
            row_bytes, band = w * size, h * w * size
            if step == 1:
                target = image + (plane * height + (strip << level)) * width * size
            detail = bands[step] + (plane * 3 * h + strip * rows) * row_bytes
            for row in range(rows):
                top, o = target + 4 * row * row_bytes, row * row_bytes
                e = detail + o
                merge_row(
                    half, size, top, top + 2 * row_bytes, source + o, e, e + band, e + 2 * band, w
                )
            source = target


@compiled
def _packet(half, size, scratch, image, packets, level, height, width, start, stop):
    strips = height >> level
    strip_bytes = width * size << level
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = image + (plane * height + (strip << level)) * width * size
        for step in range(1, level + 1):
            rows, row_bytes = 1 << (level - step), (width >> step) * size
            target, band = scratch.ctypes.data + step % 2 * strip_bytes, rows * row_bytes
            if step == level:
                target, band = packets + ((plane << 2 * level) * strips + strip) * row_bytes, 0
                band = strips * row_bytes
            for parent in range(1 << 2 * (step - 1)):
                for row in range(rows):
                    top = source + (parent * rows + row) * 4 * row_bytes
                    a = target + parent * 4 * band + row * row_bytes
                    b, c, d = a + band, a + 2 * band, a + 3 * band
                    split_row(half, size, top, top + 2 * row_bytes, a, b, c, d, width >> step)
            source = target


@compiled
def _packet_inverse(half, size, scratch, image, packets, level, height, width, start, stop):
    strips = height >> level
    strip_bytes = width * size << level
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = packets + ((plane << 2 * level) * strips + strip) * (width >> level) * size
        band = strips * (width >> level) * size
        for step in range(level, 0, -1):
            rows, row_bytes = 1 << (level - step), (width >> step) * size
            target = scratch.ctypes.data + step % 2 * strip_bytes
            if step < level:
                band = rows * row_bytes
            if step == 1:
                target = image + (plane * height + (strip << level)) * width * size
            for parent in range(1 << 2 * (step - 1)):
                for row in range(rows):
                    top = target + (parent * rows + row) * 4 * row_bytes
                    a = source + parent * 4 * band + row * row_bytes
                    b, c, d = a + band, a + 2 * band, a + 3 * band
                    merge_row(half, size, top, top + 2 * row_bytes, a, b, c, d, width >> step)
            source = target


def computes(
    haar_map: HaarMap, shape: tuple[int, ...], dtype: torch.dtype
) -> Callable[[Tensor, list[Tensor]], None]:
    """What fills coefficients from images, or images from coefficients.

    Args:
        haar_map: which map.
        shape: of the images, (B, C, H, W).
        dtype: float32 or float64.

    Returns:
        A function of images and coefficients, in `HaarMap`'s order, all contiguous and of these
        shapes. What can be known before has been worked out: it is called once for each batch.
    """
    if haar_map.spacing:
        return partial(_compute_undecimated, haar_map)
    level, (height, width), transposed = haar_map.level, haar_map.size, haar_map.transposed
    half, size = _HALF[dtype], dtype.itemsize
    units = shape[0] * shape[1] * (-(-height >> level))
    pixels, (ahead, past) = math.prod(shape), _memory(shape, size)
    if level == 1:
        one, apart = (_dwt, _dwt_adjoint)[transposed], 3 if haar_map.pyramid else 4
        band, past = (height + 1) // 2 * ((width + 1) // 2) * size, past and not transposed

        def compute(image: Tensor, bands: list[Tensor]) -> None:
            approx = bands[0].data_ptr()
            # In a packet the details follow the approximation.
            details = bands[1].data_ptr() if apart == 3 else approx + band
            how = (half, size, ahead, past and not (approx | details) % _ALIGNED)
            where = (image.data_ptr(), approx, details, apart, height, width)
            share(partial(one, *how, *where), units, pixels)

        return compute
    if haar_map.pyramid:
        several, scratch = (_pyramid, _pyramid_inverse)[transposed], width * size << level
        how: tuple[Any, ...] = (half, size, ahead)
    else:
        several, scratch = (_packet, _packet_inverse)[transposed], 2 * width * size << level
        how = (half, size)

    def compute_levels(image: Tensor, bands: list[Tensor]) -> None:
        places: Any = bands[0].data_ptr()
        if haar_map.pyramid:
            places = np.array([band.data_ptr() for band in bands])
        where = (image.data_ptr(), places, level, height, width)

        def work(start: int, stop: int) -> None:
            several(*how, np.empty(scratch, np.uint8), *where, start, stop)

        share(work, units, pixels)

    return compute_levels


class _Memory(NamedTuple):
    """How a pass over a batch treats memory: what it asks for ahead, and whether what it gives is
    stored past the caches."""

    ahead: int
    past: bool


def _memory(shape: tuple[int, ...], size: int) -> _Memory:
    """For images (B, C, H, W) of elements of `size` bytes.

    The bands of a plane of a few kilobytes are streams too short for the processor to foresee, and
    the next plane is asked for: measured, 28 x 28 pixels of 2048 channels, 0.91 to 0.56 ms from
    cold caches. Of larger planes, rows of a kilobyte and less are read ahead on the way to the
    coefficients (224 x 224 pixels of 96 channels: 2.2 to 1.8 ms). It costs where images are in the
    near caches, and for longer rows.

    Coefficients of a long batch do not stay in the caches anyway, and a store past them need not
    fetch what it overwrites: the same 1.8 to 1.0 ms, of which who reads them next loses 0.1. So
    does the C library copy. Beyond 32 MiB malloc gives fresh pages, which the system has just
    cleared, in the caches.
    """
    row, batch = shape[-1] * size, math.prod(shape) * size
    plane, ahead = shape[-2] * row, Ahead.NOTHING
    if batch >= _FAR and plane >= _SHORTEST:
        if plane <= _LONGEST:
            ahead = Ahead.NEXT_PLANE
        elif row <= _LONGEST_ROW:
            ahead = Ahead.NEXT_ROWS
    vectors = shape[-1] % (2 * _LANES) == 0
    return _Memory(int(ahead), vectors and _LONG <= batch < _FRESH)


def _compute_undecimated(haar_map: HaarMap, image: Tensor, bands: list[Tensor]) -> None:
    """Level after level, each straight to or from its place among the coefficients."""
    height, width = haar_map.size
    levels = bands[0].reshape(-1, haar_map.level, 4, height, width)
    half, size = _HALF[image.dtype], image.element_size()
    planes = image.reshape(-1, height, width)
    kernel = (undecimated, undecimated_adjoint)[haar_map.transposed]

    def compute(plain: Tensor, bands: Tensor, spacing: int) -> None:
        steps = (plain.stride(0) * size, bands.stride(0) * size)
        where = plain.data_ptr(), bands.data_ptr(), steps, spacing

        def work(start: int, stop: int) -> None:
            kernel(half, size, *where, height, width, start, stop)

        share(work, len(planes) * height, image.numel())

    order = range(haar_map.level)
    if not haar_map.transposed:
        for step in order:  # the finest level is the last in memory
            compute(planes, levels[:, -1 - step], haar_map.spacing << step)
            planes = levels[:, -1 - step, 0]
        return
    for step in reversed(order):
        here = levels[:, -1 - step]
        if step < haar_map.level - 1:  # what the coarser levels gave belongs to the approximation
            here = here.clone()
            here[:, 0] += planes
        compute(planes, here, haar_map.spacing << step)
