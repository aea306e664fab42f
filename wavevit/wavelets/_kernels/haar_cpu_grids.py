"""One level of Haar of signals and volumes with even sides on the CPU, in LLVM vectors.

A step reads eight pairs of samples, or eight blocks of 2 x 2 x 2 voxels, and writes their
coefficients: nothing lies in between (`_kernels.haar_cpu_rows` does the same for images). Kernels
see addresses, numbered in bytes, of planes that are contiguous in themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from wavevit.wavelets._kernels.haar_cpu_code import Lanes, compiled

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import BankMap

__all__ = ["is_butterfly", "merge_lines", "merge_volumes", "split_lines", "split_volumes"]

_TAPS = np.sqrt(0.5) * np.array([[1.0, 1.0], [1.0, -1.0]])
_WIDE, _NARROW = 8, 4  # blocks per step


@lru_cache(maxsize=256)
def is_butterfly(bank_map: BankMap) -> bool:
    """Whether blocks of two samples a side are this map: Haar's, and no side is extended.

    A line shorter than a vector is left to the general loops.
    """
    bank = bank_map.bank
    if (len(bank.taps[0]), bank.stride, bank.spacing, bank.before) != (2, 2, 1, 0):
        return False
    if bank_map.size[-1] < 2 * _NARROW or any(side % 2 for side in bank_map.size):
        return False
    return bool(np.abs(np.array(bank.taps) - _TAPS).max() < 1e-15)


def _constant(lanes: Lanes, value: float) -> ir.Value:
    return ir.Constant(lanes.type, [value] * lanes.count)


def _split_line(count: int) -> Callable[..., Any]:
    """Emits `count` pairs side by side, a line of samples to a line of each band."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        root = _constant(lanes, 0.5**0.5)
        even, odd = lanes.apart(*lanes.load_pixels(args[1]))
        lanes.store(builder.fmul(root, builder.fadd(even, odd)), args[2])
        lanes.store(builder.fmul(root, builder.fsub(even, odd)), args[3])
        return context.get_dummy_value()

    return codegen


def _merge_line(count: int) -> Callable[..., Any]:
    """`_split_line` backwards."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        root = _constant(lanes, 2**0.5)  # of halves
        low, high = lanes.load(args[2]), lanes.load(args[3])
        pair = lanes.together(builder.fadd(low, high), builder.fsub(low, high))
        for step, value in enumerate(pair):
            lanes.store(builder.fmul(root, value), args[1], step)
        return context.get_dummy_value()

    return codegen


def _address(builder: ir.IRBuilder, table: ir.Value, index: int, offset: ir.Value) -> ir.Value:
    """The integer in a table of addresses, and an offset to it."""
    integer = ir.IntType(64)
    place = builder.add(table, ir.Constant(integer, 8 * index))
    return builder.add(builder.load(builder.inttoptr(place, integer.as_pointer())), offset)


def _split_blocks(count: int) -> Callable[..., Any]:
    """Emits `count` blocks side by side: four rows of voxels to a row of each of eight bands."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        scale = _constant(lanes, 0.125**0.5)
        quads = []
        for top, bottom in (args[1:3], args[3:5]):
            upper, lower = lanes.load_pixels(top), lanes.load_pixels(bottom)
            bands = []
            for add in (builder.fadd, builder.fsub):
                left, right = lanes.apart(*(add(t, b) for t, b in zip(upper, lower, strict=True)))
                bands += [builder.fadd(left, right), builder.fsub(left, right)]
            quads.append(bands)
        table, offset = args[5:]
        for band, (near, far) in enumerate(zip(*quads, strict=True)):
            for half, add in ((0, builder.fadd), (4, builder.fsub)):
                value = builder.fmul(scale, add(near, far))
                lanes.store(value, _address(builder, table, half + band, offset))
        return context.get_dummy_value()

    return codegen


def _merge_blocks(count: int) -> Callable[..., Any]:
    """`_split_blocks` backwards."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        scale = _constant(lanes, 0.5**0.5)  # of halves
        table, offset = args[5:]
        found = [lanes.load(_address(builder, table, band, offset)) for band in range(8)]
        for add, rows in ((builder.fadd, args[1:3]), (builder.fsub, args[3:5])):
            aa, ad, da, dd = (
                builder.fmul(scale, add(low, high))
                for low, high in zip(found[:4], found[4:], strict=True)
            )
            sums = lanes.together(builder.fadd(aa, ad), builder.fsub(aa, ad))
            differences = lanes.together(builder.fadd(da, dd), builder.fsub(da, dd))
            for step, (s, e) in enumerate(zip(sums, differences, strict=True)):
                lanes.store(builder.fadd(s, e), rows[0], step)
                lanes.store(builder.fsub(s, e), rows[1], step)
        return context.get_dummy_value()

    return codegen


@intrinsic
def _split_line8(typing, half, line, low, high):
    return types.void(half, line, low, high), _split_line(_WIDE)


@intrinsic
def _split_line4(typing, half, line, low, high):
    return types.void(half, line, low, high), _split_line(_NARROW)


@intrinsic
def _merge_line8(typing, half, line, low, high):
    return types.void(half, line, low, high), _merge_line(_WIDE)


@intrinsic
def _merge_line4(typing, half, line, low, high):
    return types.void(half, line, low, high), _merge_line(_NARROW)


@intrinsic
def _split_blocks8(typing, half, top, bottom, far_top, far_bottom, table, offset):
    kinds = half, top, bottom, far_top, far_bottom, table, offset
    return types.void(*kinds), _split_blocks(_WIDE)


@intrinsic
def _split_blocks4(typing, half, top, bottom, far_top, far_bottom, table, offset):
    kinds = half, top, bottom, far_top, far_bottom, table, offset
    return types.void(*kinds), _split_blocks(_NARROW)


@intrinsic
def _merge_blocks8(typing, half, top, bottom, far_top, far_bottom, table, offset):
    kinds = half, top, bottom, far_top, far_bottom, table, offset
    return types.void(*kinds), _merge_blocks(_WIDE)


@intrinsic
def _merge_blocks4(typing, half, top, bottom, far_top, far_bottom, table, offset):
    kinds = half, top, bottom, far_top, far_bottom, table, offset
    return types.void(*kinds), _merge_blocks(_NARROW)


# The last step of a row moves back over blocks that are done rather than leave a tail.


@compiled
def split_lines(half, size, piece, lines, line_bytes, targets, target_bytes, w, start, stop):
    """Pieces `start` to `stop` of the coefficients of all lines; bands lie at `targets`."""
    pieces = (w + piece - 1) // piece
    for unit in range(start, stop):
        plane, first = unit // pieces, unit % pieces * piece
        last = min(first + piece, w)
        line = lines + plane * line_bytes
        low = targets[0] + plane * target_bytes[0]
        high = targets[1] + plane * target_bytes[1]
        if w >= 8:
            for j in range(first, last, 8):
                o = min(j, w - 8) * size
                _split_line8(half, line + 2 * o, low + o, high + o)
        else:
            for j in (0, w - 4):
                o = j * size
                _split_line4(half, line + 2 * o, low + o, high + o)


@compiled
def merge_lines(half, size, piece, lines, line_bytes, sources, source_bytes, w, start, stop):
    """`split_lines` backwards."""
    pieces = (w + piece - 1) // piece
    for unit in range(start, stop):
        plane, first = unit // pieces, unit % pieces * piece
        last = min(first + piece, w)
        line = lines + plane * line_bytes
        low = sources[0] + plane * source_bytes[0]
        high = sources[1] + plane * source_bytes[1]
        if w >= 8:
            for j in range(first, last, 8):
                o = min(j, w - 8) * size
                _merge_line8(half, line + 2 * o, low + o, high + o)
        else:
            for j in (0, w - 4):
                o = j * size
                _merge_line4(half, line + 2 * o, low + o, high + o)


@compiled
def split_volumes(half, size, volumes, plane_bytes, targets, target_bytes, d, h, w, start, stop):
    """Slices `start` to `stop` of the coefficients of all volumes; bands lie at `targets`."""
    line = 2 * w * size
    here = np.empty(8, np.int64)
    table = np.int64(here.ctypes.data)
    for unit in range(start, stop):
        plane, k = unit // d, unit % d
        for band in range(8):
            here[band] = targets[band] + plane * target_bytes[band] + k * h * w * size
        for row in range(h):
            top = volumes + plane * plane_bytes + (4 * k * h + 2 * row) * line
            far, place = top + 2 * h * line, row * w * size
            if w >= 8:
                for j in range(0, w, 8):
                    o = min(j, w - 8) * size
                    p, q = top + 2 * o, far + 2 * o
                    _split_blocks8(half, p, p + line, q, q + line, table, place + o)
            else:
                for j in (0, w - 4):
                    o = j * size
                    p, q = top + 2 * o, far + 2 * o
                    _split_blocks4(half, p, p + line, q, q + line, table, place + o)


@compiled
def merge_volumes(half, size, volumes, plane_bytes, sources, source_bytes, d, h, w, start, stop):
    """`split_volumes` backwards."""
    line = 2 * w * size
    here = np.empty(8, np.int64)
    table = np.int64(here.ctypes.data)
    for unit in range(start, stop):
        plane, k = unit // d, unit % d
        for band in range(8):
            here[band] = sources[band] + plane * source_bytes[band] + k * h * w * size
        for row in range(h):
            top = volumes + plane * plane_bytes + (4 * k * h + 2 * row) * line
            far, place = top + 2 * h * line, row * w * size
            if w >= 8:
                for j in range(0, w, 8):
                    o = min(j, w - 8) * size
                    p, q = top + 2 * o, far + 2 * o
                    _merge_blocks8(half, p, p + line, q, q + line, table, place + o)
            else:
                for j in (0, w - 4):
                    o = j * size
                    p, q = top + 2 * o, far + 2 * o
                    _merge_blocks4(half, p, p + line, q, q + line, table, place + o)
