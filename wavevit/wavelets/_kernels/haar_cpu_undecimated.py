"""Undecimated Haar on the CPU: four coefficients at every pixel, one read and one write of each.

The loops of `_kernels.haar_cpu` for the transform that drops no sample. A row is two runs
of columns: those whose right neighbour lies in the row, and the last ones, whose neighbour is at
its start because the image is a circle.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from wavevit.wavelets._kernels.haar_cpu_code import Lanes, compiled, inlined, load, store

__all__ = ["undecimated", "undecimated_adjoint"]

_WIDE = 8  # pixels per vector step; a shorter run goes pixel by pixel


@intrinsic
def _spread8(typing, half, here, right, below, across, target, band):
    """Eight pixels and their neighbours to eight of each coefficient; bands lie `band` apart."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, _WIDE)
        p, q, r, s = (lanes.load(address) for address in args[1:5])
        upper = (builder.fadd(p, q), builder.fsub(p, q))
        lower = (builder.fadd(r, s), builder.fsub(r, s))
        results = (
            builder.fadd(upper[0], lower[0]),
            builder.fsub(upper[0], lower[0]),
            builder.fadd(upper[1], lower[1]),
            builder.fsub(upper[1], lower[1]),
        )
        for index, value in enumerate(results):
            offset = builder.mul(args[6], ir.Constant(args[6].type, index))
            lanes.store(value, builder.add(args[5], offset))
        return context.get_dummy_value()

    return types.void(half, here, right, below, across, target, band), codegen


@intrinsic
def _collect8(typing, half, here, left, above, across, target, band):
    """`_spread8` transposed: what eight pixels receive from the four blocks that they are in."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(builder, args[0].type, _WIDE)

        def bands(address):
            steps = [builder.mul(args[6], ir.Constant(args[6].type, i)) for i in range(4)]
            return [lanes.load(builder.add(address, step)) for step in steps]

        def signed(address, signs):
            total, *rest = bands(address)
            for sign, value in zip(signs, rest, strict=True):
                total = builder.fadd(total, value) if sign > 0 else builder.fsub(total, value)
            return total

        corners = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
        p, q, r, s = (signed(a, signs) for a, signs in zip(args[1:5], corners, strict=True))
        lanes.store(builder.fadd(builder.fadd(p, q), builder.fadd(r, s)), args[5])
        return context.get_dummy_value()

    return types.void(half, here, left, above, across, target, band), codegen


@inlined
def _spread_run(half, size, here, right, below, across, target, band, count):
    j = 0
    while j < count:
        if count >= _WIDE:
            # The last step moves back over pixels that are done rather than leave a tail.
            j = min(j, count - _WIDE)
            o = j * size
            _spread8(half, here + o, right + o, below + o, across + o, target + o, band)
            j += _WIDE
        else:
            o = j * size
            p, q = half * load(half, here + o), half * load(half, right + o)
            r, s = half * load(half, below + o), half * load(half, across + o)
            store(half, target + o, (p + q) + (r + s))
            store(half, target + band + o, (p + q) - (r + s))
            store(half, target + 2 * band + o, (p - q) + (r - s))
            store(half, target + 3 * band + o, (p - q) - (r - s))
            j += 1


@inlined
def _signed(half, address, band, h, v, d):
    total = load(half, address) + h * load(half, address + band)
    return total + v * load(half, address + 2 * band) + d * load(half, address + 3 * band)


@inlined
def _collect_run(half, size, here, left, above, across, target, band, count):
    one = half + half
    j = 0
    while j < count:
        if count >= _WIDE:
            j = min(j, count - _WIDE)
            o = j * size
            _collect8(half, here + o, left + o, above + o, across + o, target + o, band)
            j += _WIDE
        else:
            o = j * size
            total = _signed(half, here + o, band, one, one, one)
            total += _signed(half, left + o, band, one, -one, -one)
            total += _signed(half, above + o, band, -one, one, -one)
            total += _signed(half, across + o, band, -one, -one, one)
            store(half, target + o, half * total)
            j += 1


@compiled
def undecimated(half, size, image, coefficients, steps, spacing, height, width, start, stop):
    """Rows `start` to `stop` of all planes: from the image to the coefficients.

    `steps` are the distances in bytes from plane to plane of the image and of the coefficients.
    """
    row_bytes, band = width * size, height * width * size
    dx = spacing % width
    for unit in range(start, stop):
        plane, row = unit // height, unit % height
        top = image + plane * steps[0] + row * row_bytes
        low = image + plane * steps[0] + (row + spacing) % height * row_bytes
        target = coefficients + plane * steps[1] + row * row_bytes
        o, edge = dx * size, (width - dx) * size
        _spread_run(half, size, top, top + o, low, low + o, target, band, width - dx)
        _spread_run(half, size, top + edge, top, low + edge, low, target + edge, band, dx)


@compiled
def undecimated_adjoint(
    half, size, image, coefficients, steps, spacing, height, width, start, stop
):
    """Rows `start` to `stop` of all planes: from the coefficients to the image."""
    row_bytes, band = width * size, height * width * size
    dx = spacing % width
    for unit in range(start, stop):
        plane, row = unit // height, unit % height
        here = coefficients + plane * steps[1] + row * row_bytes
        above = coefficients + plane * steps[1] + (row - spacing) % height * row_bytes
        target = image + plane * steps[0] + row * row_bytes
        o, edge = dx * size, (width - dx) * size
        _collect_run(half, size, here, here + edge, above, above + edge, target, band, dx)
        _collect_run(half, size, here + o, here, above + o, above, target + o, band, width - dx)
