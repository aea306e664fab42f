"""Rows of blocks: the butterfly in LLVM vectors, which numba puts into the loops that call it.

LLVM's own vectoriser gives up on six streams that might overlap, and a call for each row costs as
much as a row of 28 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from wavevit.wavelets._kernels.haar_cpu_code import Lanes, inlined, load, store

__all__ = ["merge_row", "split_row", "split_row_past"]

_WIDE, _NARROW = 8, 4  # blocks per vector step; a row shorter than four goes block by block


def _split_blocks(count: int, past: bool = False) -> Callable[..., Any]:
    """Emits `count` blocks side by side, two rows of pixels to four rows of coefficients.

    With `past` they are stored past the caches, at addresses that are aligned to the vector.
    """

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, count)
        upper, lower = lanes.load_pixels(args[1]), lanes.load_pixels(args[2])
        sums = [builder.fadd(t, b) for t, b in zip(upper, lower, strict=True)]
        differences = [builder.fsub(t, b) for t, b in zip(upper, lower, strict=True)]
        for rows, low, high in ((sums, args[3], args[5]), (differences, args[4], args[6])):
            for value, address in zip(lanes.halves(*lanes.apart(*rows)), (low, high), strict=True):
                (lanes.store_past if past else lanes.store)(value, address)
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
def _split8_past(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _split_blocks(_WIDE, past=True)


@intrinsic
def _split4_past(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _split_blocks(_NARROW, past=True)


@intrinsic
def _split4(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _split_blocks(_NARROW)


@intrinsic
def _merge8(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _merge_blocks(_WIDE)


@intrinsic
def _merge4(typing, half, top, bottom, a, h, v, d):
    return types.void(half, top, bottom, a, h, v, d), _merge_blocks(_NARROW)


@inlined
def split_row(half, size, top, bottom, a, h, v, d, count):
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


@inlined
def split_row_past(half, size, top, bottom, a, h, v, d, count):
    """`split_row` of a multiple of four blocks, past the caches."""
    if count % _WIDE == 0:
        for o in range(0, count * size, _WIDE * size):
            _split8_past(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)
    else:
        for o in range(0, count * size, _NARROW * size):
            _split4_past(half, top + 2 * o, bottom + 2 * o, a + o, h + o, v + o, d + o)


@inlined
def merge_row(half, size, top, bottom, a, h, v, d, count):
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
