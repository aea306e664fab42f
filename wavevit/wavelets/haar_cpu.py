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

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor

if TYPE_CHECKING:
    from wavevit.wavelets.haar_maps import HaarMap

__all__ = ["run"]

# The factor of the butterfly; numba specialises every loop by its type.
_HALF = {torch.float32: np.float32(0.5), torch.float64: np.float64(0.5)}

_WIDE, _NARROW = 8, 4  # blocks per vector step; a row shorter than four goes block by block
_GRAIN = 1 << 16  # pixels per thread below which a second thread costs more than it brings


class _Lanes:
    """Emits loads, stores and shuffles of vectors; memory is only aligned to one element."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, count: int) -> None:
        self.builder, self.count = builder, count
        self.type = ir.VectorType(scalar, count)
        self.bytes = 4 if isinstance(scalar, ir.FloatType) else 8
        self.half = ir.Constant(self.type, [0.5] * count)

    def _pointer(self, address: ir.Value, step: int) -> ir.Value:
        offset = ir.Constant(address.type, step * self.count * self.bytes)
        return self.builder.inttoptr(self.builder.add(address, offset), self.type.as_pointer())

    def load(self, address: ir.Value, step: int = 0) -> ir.Value:
        """Half of what is there."""
        value = self.builder.load(self._pointer(address, step))
        value.align = self.bytes
        return self.builder.fmul(self.half, value)

    def store(self, value: ir.Value, address: ir.Value, step: int = 0) -> None:
        self.builder.store(value, self._pointer(address, step)).align = self.bytes

    def _shuffle(self, first: ir.Value, second: ir.Value, lanes: list[int]) -> ir.Value:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.count), lanes)
        return self.builder.shuffle_vector(first, second, mask)

    def apart(self, first: ir.Value, second: ir.Value) -> list[ir.Value]:
        """The even and the odd elements of both."""
        lanes = list(range(2 * self.count))
        return [self._shuffle(first, second, lanes[parity::2]) for parity in (0, 1)]

    def together(self, even: ir.Value, odd: ir.Value) -> list[ir.Value]:
        """`apart` backwards."""
        lanes = [lane + side * self.count for lane in range(self.count) for side in (0, 1)]
        halves = (lanes[: self.count], lanes[self.count :])
        return [self._shuffle(even, odd, half) for half in halves]


def _split_blocks(count: int) -> Callable[..., Any]:
    """Emits `count` blocks side by side, two rows of pixels to four rows of coefficients."""

    def codegen(context, builder, signature, args):
        lanes = _Lanes(builder, args[0].type, count)
        upper = [lanes.load(args[1], step) for step in (0, 1)]
        lower = [lanes.load(args[2], step) for step in (0, 1)]
        sums = [builder.fadd(t, b) for t, b in zip(upper, lower, strict=True)]
        differences = [builder.fsub(t, b) for t, b in zip(upper, lower, strict=True)]
        for rows, low, high in ((sums, args[3], args[5]), (differences, args[4], args[6])):
            left, right = lanes.apart(*rows)
            lanes.store(builder.fadd(left, right), low)
            lanes.store(builder.fsub(left, right), high)
        return context.get_dummy_value()

    return codegen


def _merge_blocks(count: int) -> Callable[..., Any]:
    """`_split_blocks` backwards."""

    def codegen(context, builder, signature, args):
        lanes = _Lanes(builder, args[0].type, count)
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


@intrinsic
def _load(typing, half, address):
    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[1], args[0].type.as_pointer()))

    return half(half, address), codegen


@intrinsic
def _store(typing, half, address, value):
    def codegen(context, builder, signature, args):
        builder.store(args[2], builder.inttoptr(args[1], args[0].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(half, address, half), codegen


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in: compile in every process
        return njit(nogil=True)(function)


@_compiled
def _split_row(half, size, top, bottom, a, h, v, d, count):
    j = 0
    while j < count:
        if count >= _WIDE:
            # The last step moves back over blocks that are done rather than leave a tail.
            j = min(j, count - _WIDE)
            o = j * size
            _split8(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
            j += _WIDE
        elif count >= _NARROW:
            j = min(j, count - _NARROW)
            o = j * size
            _split4(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
            j += _NARROW
        else:
            o = j * size
            p, q = half * _load(half, top + 2 * o), half * _load(half, top + 2 * o + size)
            r, s = half * _load(half, bottom + 2 * o), half * _load(half, bottom + 2 * o + size)
            _store(half, a + o, (p + r) + (q + s))
            _store(half, h + o, (p - r) + (q - s))
            _store(half, v + o, (p + r) - (q + s))
            _store(half, d + o, (p - r) - (q - s))
            j += 1


@_compiled
def _merge_row(half, size, top, bottom, a, h, v, d, count):
    j = 0
    while j < count:
        if count >= _WIDE:
            j = min(j, count - _WIDE)
            o = j * size
            _merge8(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
            j += _WIDE
        elif count >= _NARROW:
            j = min(j, count - _NARROW)
            o = j * size
            _merge4(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
            j += _NARROW
        else:
            o = j * size
            p, q = half * _load(half, a + o), half * _load(half, h + o)
            r, s = half * _load(half, v + o), half * _load(half, d + o)
            _store(half, top + 2 * o, (p + r) + (q + s))
            _store(half, top + 2 * o + size, (p - r) + (q - s))
            _store(half, bottom + 2 * o, (p + r) - (q + s))
            _store(half, bottom + 2 * o + size, (p - r) - (q - s))
            j += 1


@_compiled
def _dwt(half, size, image, coefficients, height, width, start, stop):
    h, w = (height + 1) // 2, (width + 1) // 2
    band = h * w * size
    for unit in range(start, stop):
        plane, row = unit // h, unit % h
        top = image + (plane * height + 2 * row) * width * size
        bottom = top + width * size if 2 * row + 1 < height else top  # the last row, repeated
        a = coefficients + (plane * 4 * h + row) * w * size
        _split_row(half, size, top, bottom, a, a + band, a + 2 * band, a + 3 * band, width // 2)
        if width % 2:  # the last column, repeated: no horizontal difference
            o, edge = (w - 1) * size, (width - 1) * size
            p, r = _load(half, top + edge), _load(half, bottom + edge)
            _store(half, a + o, p + r)
            _store(half, a + band + o, p - r)
            _store(half, a + 2 * band + o, half - half)
            _store(half, a + 3 * band + o, half - half)


@_compiled
def _dwt_adjoint(half, size, image, coefficients, height, width, start, stop):
    h, w = (height + 1) // 2, (width + 1) // 2
    band = h * w * size
    for unit in range(start, stop):
        plane, row = unit // h, unit % h
        top = image + (plane * height + 2 * row) * width * size
        bottom = top + width * size
        a = coefficients + (plane * 4 * h + row) * w * size
        edge, o = (width - 1) * size, (w - 1) * size
        if 2 * row + 1 < height:
            _merge_row(half, size, top, bottom, a, a + band, a + 2 * band, a + 3 * band, width // 2)
            if width % 2:  # what the repeated column received goes to the column
                p, q = _load(half, a + o), _load(half, a + band + o)
                _store(half, top + edge, p + q)
                _store(half, bottom + edge, p - q)
        else:  # and what the repeated row received to the row
            for j in range(width // 2):
                p, q = _load(half, a + j * size), _load(half, a + 2 * band + j * size)
                _store(half, top + 2 * j * size, p + q)
                _store(half, top + (2 * j + 1) * size, p - q)
            if width % 2:
                _store(half, top + edge, _load(half, a + o) + _load(half, a + o))


@_compiled
def _pyramid(half, size, scratch, image, bands, level, height, width, start, stop):
    """`bands` holds the addresses of the approximation and of the details, fine to coarse."""
    strips = height >> level
    spare = (width * size << level) // 2
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = image + (plane * height + (strip << level)) * width * size
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


@_compiled
def _pyramid_inverse(half, size, scratch, image, bands, level, height, width, start, stop):
    strips = height >> level
    spare = (width * size << level) // 2
    for unit in range(start, stop):
        plane, strip = unit // strips, unit % strips
        source = bands[0] + (plane * strips + strip) * (width >> level) * size
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


@_compiled
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


@_compiled
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


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    # By process: the threads of a parent do not live on in a forked DataLoader worker.
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="haar")


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
    if haar_map.pyramid:
        kernel, scratch = (_pyramid, _pyramid_inverse)[haar_map.transposed], width * size << level
        where = (image.data_ptr(), np.array([band.data_ptr() for band in bands]), level)
    elif level > 1:
        kernel, scratch = (_packet, _packet_inverse)[haar_map.transposed], 2 * width * size << level
        where = (*where, level)
    else:
        kernel, scratch = (_dwt, _dwt_adjoint)[haar_map.transposed], 0

    def work(start: int, stop: int) -> None:
        memory = (np.empty(scratch, np.uint8),) if scratch else ()
        kernel(half, size, *memory, *where, height, width, start, stop)

    units = image.shape[0] * image.shape[1] * bands[0].shape[-2]
    threads = min(torch.get_num_threads(), units, image.numel() // _GRAIN)
    if threads <= 1:
        work(0, units)
        return
    cuts = [units * thread // threads for thread in range(threads + 1)]
    pool = _pool(os.getpid())
    others = [pool.submit(work, *cut) for cut in pairwise(cuts[1:])]
    work(cuts[0], cuts[1])
    for other in others:
        other.result()
