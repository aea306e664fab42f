"""Haar on the CPU at the speed of a copy: loops that numba compiles at their first use.

One level reads every pixel once and writes every coefficient once; several levels work on strips
of ``2**level`` rows, so that what one level hands to the next never leaves the cache. The loops
are plain Python under numba; only the butterfly of eight blocks is spelled out in LLVM vectors,
because LLVM's own vectoriser gives up on six streams that might overlap (measured: 1.0 to 4.5
times a clone, against 1.0 to 1.5). LLVM lowers those vectors to what the machine has.

Kernels see addresses, numbered in bytes, of contiguous tensors. Work is cut into units (a row of
blocks, or a strip) and handed to as many threads as torch would use.

This module imports numba, so it is imported at the first transform of a CPU tensor and not
before. `wavevit.wavelets.haar_maps` calls `run` with tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from wavevit.wavelets.cpu_threads import share
from wavevit.wavelets.haar_cpu_code import (
    Lanes,
    compiled,
    expect_reads,
    expect_writes,
    load,
    store,
)
from wavevit.wavelets.haar_cpu_undecimated import undecimated, undecimated_adjoint

if TYPE_CHECKING:
    from wavevit.wavelets.haar_maps import HaarMap

__all__ = ["run"]

# The factor of the butterfly; numba specialises every loop by its type.
_HALF = {torch.float32: np.float32(0.5), torch.float64: np.float64(0.5)}

# Bytes of a plane between which, and of a batch from which, memory is asked for ahead: `_ahead`.
_SHORTEST, _LONGEST, _FAR = 2 << 10, 10 << 10, 2 << 20

_WIDE, _NARROW = 8, 4  # blocks per vector step; a row shorter than four goes block by block


def _split_blocks(count: int) -> Callable[..., Any]:
    """Emits `count` blocks side by side, two rows of pixels to four rows of coefficients."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        upper, lower = lanes.load_pixels(args[1]), lanes.load_pixels(args[2])
        sums = [builder.fadd(t, b) for t, b in zip(upper, lower, strict=True)]
        differences = [builder.fsub(t, b) for t, b in zip(upper, lower, strict=True)]
        for rows, low, high in ((sums, args[3], args[5]), (differences, args[4], args[6])):
            for value, address in zip(lanes.halves(*lanes.apart(*rows)), (low, high), strict=True):
                lanes.store(value, address)
        return context.get_dummy_value()

    return codegen


def _merge_blocks(count: int) -> Callable[..., Any]:
    """`_split_blocks` backwards."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        cA, cH, cV, cD = (lanes.load(address) for address in args[3:])
        sums = lanes.together(builder.fadd(cA, cV), builder.fsub(cA, cV))
        differences = lanes.together(builder.fadd(cH, cD), builder.fsub(cH, cD))
        for step, (s, e) in enumerate(zip(sums, differences, strict=True)):
            lanes.store(builder.fadd(s, e), args[1], step)
            lanes.store(builder.fsub(s, e), args[2], step)
        return context.get_dummy_value()

    return codegen


@intrinsic
def _split8(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _split_blocks(_WIDE)


@intrinsic
def _split4(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _split_blocks(_NARROW)


@intrinsic
def _merge8(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _merge_blocks(_WIDE)


@intrinsic
def _merge4(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _merge_blocks(_NARROW)


@compiled
def _split_row(half, size, top, bottom, a, h, v, d, count):
    o = 0
    if count >= _WIDE:
        last = (count - _WIDE) * size
        while o < last:
            _split8(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
            o += _WIDE * size
        # The last step moves back over blocks that are done rather than leave a tail.
        o = last
        _split8(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
    elif count >= _NARROW:
        last = (count - _NARROW) * size
        _split4(half, top, bottom, a, h, v, d)
        _split4(half, top + 2 * last, bottom + 2 * last, a + last, h + last, v + last, d + last)
    else:
        for j in range(count):
            o = j * size
            p, q = half * load(half, top + 2 * o), half * load(half, top + 2 * o + size)
            r, s = half * load(half, bottom + 2 * o), half * load(half, bottom + 2 * o + size)
            store(half, a + o, (p + r) + (q + s))
            store(half, h + o, (p - r) + (q - s))
            store(half, v + o, (p + r) - (q + s))
            store(half, d + o, (p - r) - (q - s))


@compiled
def _merge_row(half, size, top, bottom, a, h, v, d, count):
    o = 0
    if count >= _WIDE:
        last = (count - _WIDE) * size
        while o < last:
            _merge8(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
            o += _WIDE * size
        # The last step moves back over blocks that are done rather than leave a tail.
        o = last
        _merge8(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
    elif count >= _NARROW:
        last = (count - _NARROW) * size
        _merge4(half, top, bottom, a, h, v, d)
        _merge4(half, top + 2 * last, bottom + 2 * last, a + last, h + last, v + last, d + last)
    else:
        for j in range(count):
            o = j * size
            p, q = half * load(half, a + o), half * load(half, h + o)
            r, s = half * load(half, v + o), half * load(half, d + o)
            store(half, top + 2 * o, (p + r) + (q + s))
            store(half, top + 2 * o + size, (p - r) + (q - s))
            store(half, bottom + 2 * o, (p + r) - (q + s))
            store(half, bottom + 2 * o + size, (p - r) - (q - s))


@compiled
def _dwt(half, size, ahead, image, approx, details, apart, height, width, start, stop):
    """`apart`: how many bands lie together with each plane of `details`, 3 or, with `approx`, 4;
    `ahead`: whether each row asks for its share of the next plane."""
    h, w = (height + 1) // 2, (width + 1) // 2
    band = h * w * size
    between = band if apart == 3 else 4 * band
    plane, row = start // h, start % h  # counted on from here: a division costs as much as a step
    for _ in range(start, stop):
        top = image + (plane * height + 2 * row) * width * size
        bottom = top + width * size if 2 * row + 1 < height else top  # the last row, repeated
        a = approx + plane * between + row * w * size
        e = details + plane * apart * band + row * w * size
        if ahead:
            expect_reads(top + height * width * size, 2 * width * size)
            following = details + ((plane + 1) * h + row) * apart * w * size
            expect_writes(following, apart * w * size)
        row += 1
        if row == h:
            plane, row = plane + 1, 0
        _split_row(half, size, top, bottom, a, e, e + band, e + 2 * band, width // 2)
        if width % 2:  # the last column, repeated: no horizontal difference
            o, edge = (w - 1) * size, (width - 1) * size
            p, r = load(half, top + edge), load(half, bottom + edge)
            store(half, a + o, p + r)
            store(half, e + o, p - r)
            store(half, e + band + o, half - half)
            store(half, e + 2 * band + o, half - half)


@compiled
def _dwt_adjoint(half, size, ahead, image, approx, details, apart, height, width, start, stop):
    h, w = (height + 1) // 2, (width + 1) // 2
    band = h * w * size
    between = band if apart == 3 else 4 * band
    plane, row = start // h, start % h
    for _ in range(start, stop):
        top = image + (plane * height + 2 * row) * width * size
        bottom = top + width * size
        a = approx + plane * between + row * w * size
        e = details + plane * apart * band + row * w * size
        edge, o = (width - 1) * size, (w - 1) * size
        if ahead:
            expect_writes(top + height * width * size, 2 * width * size)
            following = details + ((plane + 1) * h + row) * apart * w * size
            expect_reads(following, apart * w * size)
        row += 1
        if 2 * row <= height:
            _merge_row(half, size, top, bottom, a, e, e + band, e + 2 * band, width // 2)
            if width % 2:  # what the repeated column received goes to the column
                p, q = load(half, a + o), load(half, e + o)
                store(half, top + edge, p + q)
                store(half, bottom + edge, p - q)
        else:  # and what the repeated row received to the row
            for j in range(width // 2):
                p, q = load(half, a + j * size), load(half, e + band + j * size)
                store(half, top + 2 * j * size, p + q)
                store(half, top + (2 * j + 1) * size, p - q)
            if width % 2:
                store(half, top + edge, load(half, a + o) + load(half, a + o))
        if row == h:
            plane, row = plane + 1, 0


@compiled
def _pyramid(half, size, ahead, scratch, image, bands, level, height, width, start, stop):
    """`bands` holds the addresses of the approximation and of the details, fine to coarse."""
    strips = height >> level
    spare = (width * size << level) // 2
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = image + (plane * height + (strip << level)) * width * size
        if ahead:
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
                _split_row(
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
        if ahead:
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
                _merge_row(
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
                    _split_row(half, size, top, top + 2 * row_bytes, a, b, c, d, width >> step)
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
                    _merge_row(half, size, top, top + 2 * row_bytes, a, b, c, d, width >> step)
            source = target


def run(haar_map: HaarMap, image: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `image`, or `image` from `bands`; all contiguous, float32 or float64.

    Args:
        haar_map: which map.
        image: (B, C, H, W).
        bands: the coefficients that the map has, in `HaarMap`'s order.
    """
    level, (height, width) = haar_map.level, haar_map.size
    half, size = _HALF[image.dtype], image.element_size()
    where: tuple[Any, ...] = (image.data_ptr(), bands[0].data_ptr())
    ahead: tuple[bool, ...] = ()
    if haar_map.spacing:
        _run_undecimated(haar_map, image, bands[0])
        return
    if level == 1:
        kernel, scratch = (_dwt, _dwt_adjoint)[haar_map.transposed], 0
        ahead = (_ahead(image),)
        if haar_map.pyramid:
            where = (*where, bands[1].data_ptr(), 3)
        else:  # the details follow the approximation
            where = (*where, where[1] + bands[0][0, 0, 0].numel() * size, 4)
    elif haar_map.pyramid:
        kernel, scratch = (_pyramid, _pyramid_inverse)[haar_map.transposed], width * size << level
        ahead = (_ahead(image),)
        where = (image.data_ptr(), np.array([band.data_ptr() for band in bands]), level)
    else:
        kernel, scratch = (_packet, _packet_inverse)[haar_map.transposed], 2 * width * size << level
        where = (*where, level)

    def work(start: int, stop: int) -> None:
        memory = (np.empty(scratch, np.uint8),) if scratch else ()
        kernel(half, size, *ahead, *memory, *where, height, width, start, stop)

    share(work, image.shape[0] * image.shape[1] * bands[0].shape[-2], image.numel())


def _ahead(image: Tensor) -> bool:
    """Whether a pass asks for the next plane's memory while it is at this one's.

    The bands of a plane of a few kilobytes are streams too short for the processor to foresee. It
    pays where images are not in the near caches (measured, 28 x 28 pixels of 2048 channels: 1.39 to
    0.77 ms from cold caches, 0.99 to 0.57 from warm ones) and costs where they are.
    """
    plane = image.shape[-2] * image.shape[-1] * image.element_size()
    return _SHORTEST <= plane <= _LONGEST and image.numel() * image.element_size() >= _FAR


def _run_undecimated(haar_map: HaarMap, image: Tensor, coefficients: Tensor) -> None:
    """Level after level, each straight to or from its place among the coefficients."""
    height, width = haar_map.size
    levels = coefficients.reshape(-1, haar_map.level, 4, height, width)
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
        bands = levels[:, -1 - step]
        if step < haar_map.level - 1:  # what the coarser levels gave belongs to the approximation
            bands = bands.clone()
            bands[:, 0] += planes
        compute(planes, bands, haar_map.spacing << step)
