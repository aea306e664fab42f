"""The one loop of a filter bank on the CPU: weighted sums of rows, in LLVM vectors.

    target_f[j] = Σ_t weights_f[t] · row_t[j]        for one or two weightings f of the same rows

Everything a separable bank does is such a sum: along a column the rows are the image's, along a
row they are shifted views of its samples, sorted by their residue modulo the stride. Sums stay in
registers until they are complete, and two weightings share every load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wavevit.wavelets._kernels.haar_cpu_code import compiled, load, store

__all__ = [
    "LANES",
    "add_lanes",
    "clear_lanes",
    "move_lanes",
    "pack_square",
    "unpack_square",
    "weigh_once",
    "weigh_twice",
]

LANES = 8  # elements of a vector


def _sums(blocks: int, fused: bool = True) -> Callable[..., Any]:
    """Emits the sums of `blocks` neighbouring vectors; weightings and their targets come last.

    `fused` rounds a product and its sum once; the other way is that of `_single`.
    """

    def codegen(context, builder, signature, args):
        scalar, integer = args[0].type, args[1].type
        vector = ir.VectorType(scalar, LANES)
        size = 4 if isinstance(scalar, ir.FloatType) else 8
        rows, count, offset = args[1:4]
        weightings = list(zip(args[4::2], args[5::2], strict=True))
        # One instruction where the machine has it, two where not.
        multiply_add = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fmuladd.v{LANES}f{8 * size}",
        )
        sums = [[cgutils.alloca_once(builder, vector) for _ in range(blocks)] for _ in weightings]

        def pointer(address, kind):
            return builder.inttoptr(address, kind.as_pointer())

        def at(address, index, bytes_):
            return builder.add(address, builder.mul(index, ir.Constant(integer, bytes_)))

        for line in sums:
            for total in line:
                builder.store(ir.Constant(vector, [0.0] * LANES), total)
        with cgutils.for_range(builder, count) as loop:
            row = builder.load(pointer(at(rows, loop.index, 8), integer))
            row = builder.add(row, offset)
            values = []
            for block in range(blocks):
                there = builder.add(row, ir.Constant(integer, block * LANES * size))
                values.append(builder.load(pointer(there, vector), align=size))
            for (weights, _), line in zip(weightings, sums, strict=True):
                weight = builder.load(pointer(at(weights, loop.index, size), scalar))
                same = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), weight, ir.Constant(ir.IntType(32), 0)
                )
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                same = builder.shuffle_vector(same, same, mask)
                for total, value in zip(line, values, strict=True):
                    if fused:
                        added = builder.call(multiply_add, [same, value, builder.load(total)])
                    else:
                        added = builder.fadd(builder.load(total), builder.fmul(same, value))
                    builder.store(added, total)
        for (_, target), line in zip(weightings, sums, strict=True):
            for block, total in enumerate(line):
                there = builder.add(target, offset)
                there = builder.add(there, ir.Constant(integer, block * LANES * size))
                builder.store(builder.load(total), pointer(there, vector), align=size)
        return context.get_dummy_value()

    return codegen


@intrinsic
def _once4(typing, one, rows, count, offset, weights, target):
    return types.void(one, rows, count, offset, weights, target), _sums(4)


@intrinsic
def _once2(typing, one, rows, count, offset, weights, target):
    return types.void(one, rows, count, offset, weights, target), _sums(2)


@intrinsic
def _once1(typing, one, rows, count, offset, weights, target):
    return types.void(one, rows, count, offset, weights, target), _sums(1)


@intrinsic
def _twice4(typing, one, rows, count, offset, weights, target, others, second):
    return types.void(one, rows, count, offset, weights, target, others, second), _sums(4)


@intrinsic
def _twice2(typing, one, rows, count, offset, weights, target, others, second):
    return types.void(one, rows, count, offset, weights, target, others, second), _sums(2)


@intrinsic
def _twice1(typing, one, rows, count, offset, weights, target, others, second):
    return types.void(one, rows, count, offset, weights, target, others, second), _sums(1)


@intrinsic
def _once4_apart(typing, one, rows, count, offset, weights, target):
    return types.void(one, rows, count, offset, weights, target), _sums(4, fused=False)


@intrinsic
def _once1_apart(typing, one, rows, count, offset, weights, target):
    return types.void(one, rows, count, offset, weights, target), _sums(1, fused=False)


@intrinsic
def _twice4_apart(typing, one, rows, count, offset, weights, target, others, second):
    signature = types.void(one, rows, count, offset, weights, target, others, second)
    return signature, _sums(4, fused=False)


@intrinsic
def _twice1_apart(typing, one, rows, count, offset, weights, target, others, second):
    signature = types.void(one, rows, count, offset, weights, target, others, second)
    return signature, _sums(1, fused=False)


@intrinsic
def _address(typing, one, place):
    """The integer that lies at `place`."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[1], ir.IntType(64).as_pointer()))

    return types.int64(one, place), codegen


def _vector_at(builder, scalar, address):
    """Its type, a pointer to it, and the bytes of an element, which is how it is aligned."""
    vector = ir.VectorType(scalar, LANES)
    size = 4 if isinstance(scalar, ir.FloatType) else 8
    return vector, builder.inttoptr(address, vector.as_pointer()), size


@intrinsic
def move_lanes(typing, one, source, target):
    """Copies one vector from an address to another."""

    def codegen(context, builder, signature, args):
        _, there, size = _vector_at(builder, args[0].type, args[1])
        _, here, _ = _vector_at(builder, args[0].type, args[2])
        builder.store(builder.load(there, align=size), here, align=size)
        return context.get_dummy_value()

    return types.void(one, source, target), codegen


@intrinsic
def add_lanes(typing, one, source, target):
    """Adds one vector to that at another address."""

    def codegen(context, builder, signature, args):
        _, there, size = _vector_at(builder, args[0].type, args[1])
        _, here, _ = _vector_at(builder, args[0].type, args[2])
        total = builder.fadd(builder.load(here, align=size), builder.load(there, align=size))
        builder.store(total, here, align=size)
        return context.get_dummy_value()

    return types.void(one, source, target), codegen


@intrinsic
def clear_lanes(typing, one, target):
    """Writes a vector of zeros."""

    def codegen(context, builder, signature, args):
        vector, here, size = _vector_at(builder, args[0].type, args[1])
        builder.store(ir.Constant(vector, [0.0] * LANES), here, align=size)
        return context.get_dummy_value()

    return types.void(one, target), codegen


def _turned(builder, rows):
    """`LANES` vectors as the rows of a square, transposed: blocks off the diagonal are swapped."""
    rows = list(rows)
    for d in (1, 2, 4):
        for i in range(LANES):
            if not i & d:
                for_first = [j - d + LANES if j & d else j for j in range(LANES)]
                for_second = [j + LANES if j & d else j + d for j in range(LANES)]
                kind = ir.VectorType(ir.IntType(32), LANES)
                first, second = rows[i], rows[i + d]
                rows[i], rows[i + d] = (
                    builder.shuffle_vector(first, second, ir.Constant(kind, lanes))
                    for lanes in (for_first, for_second)
                )
    return rows


def _square(packing: bool) -> Callable[..., Any]:
    """Emits the move of `LANES` samples of as many planes, between planes and vectors."""

    def codegen(context, builder, signature, args):
        scalar, planes, step, packed = args[0].type, args[1], args[2], args[3]
        size = 4 if isinstance(scalar, ir.FloatType) else 8
        integer = planes.type
        apart = [
            builder.add(planes, builder.mul(step, ir.Constant(integer, lane)))
            for lane in range(LANES)
        ]
        together = [
            builder.add(packed, ir.Constant(integer, sample * LANES * size))
            for sample in range(LANES)
        ]
        sources, targets = (apart, together) if packing else (together, apart)
        rows = [
            builder.load(_vector_at(builder, scalar, source)[1], align=size) for source in sources
        ]
        for row, target in zip(_turned(builder, rows), targets, strict=True):
            builder.store(row, _vector_at(builder, scalar, target)[1], align=size)
        return context.get_dummy_value()

    return codegen


@intrinsic
def pack_square(typing, one, planes, step, packed):
    """`LANES` samples of as many planes, `step` bytes apart, to one vector for each sample."""
    return types.void(one, planes, step, packed), _square(True)


@intrinsic
def unpack_square(typing, one, planes, step, packed):
    """Inverse of `pack_square`."""
    return types.void(one, planes, step, packed), _square(False)


@compiled
def _single(one, size, rows, count, offset, weights, target):
    total = one - one
    for t in range(count):
        row = _address(one, rows + 8 * t)
        total += load(one, weights + t * size) * load(one, row + offset)
    store(one, target + offset, total)


@compiled
def _step(j, length):
    """How many vectors to do next, and where.

    Several sums at once hide each other's latency, so a step that moves back over elements that
    are done is cheaper than several short ones. 0 vectors: one element.
    """
    for vectors in (4, 2):
        if length >= vectors * LANES and length - j > vectors * LANES // 2:
            return vectors, min(j, length - vectors * LANES)
    if length >= LANES:
        return 1, min(j, length - LANES)
    return 0, j


@compiled
def weigh_once(one, size, rows, count, weights, target, length, lanes=1):
    """Sums of `length` elements; `rows`, `weights`: where `count` addresses and numbers lie.

    Of samples of `lanes` elements each the sums are those of a row of single elements, to the bit:
    a row of fewer than `LANES` is rounded as `_single` does.
    """
    j = 0
    if length < LANES * lanes and lanes > 1:
        while j < length:
            if length - j >= 4 * LANES:
                _once4_apart(one, rows, count, j * size, weights, target)
                j += 4 * LANES
            else:
                _once1_apart(one, rows, count, j * size, weights, target)
                j += LANES
        return
    while j < length:
        vectors, j = _step(j, length)
        if vectors == 4:
            _once4(one, rows, count, j * size, weights, target)
        elif vectors == 2:
            _once2(one, rows, count, j * size, weights, target)
        elif vectors == 1:
            _once1(one, rows, count, j * size, weights, target)
        else:
            _single(one, size, rows, count, j * size, weights, target)
        j += max(vectors * LANES, 1)


@compiled
def weigh_twice(one, size, rows, count, weights, target, others, second, length, lanes=1):
    """`weigh_once` with two weightings, each with its own target."""
    j = 0
    if length < LANES * lanes and lanes > 1:
        while j < length:
            if length - j >= 4 * LANES:
                _twice4_apart(one, rows, count, j * size, weights, target, others, second)
                j += 4 * LANES
            else:
                _twice1_apart(one, rows, count, j * size, weights, target, others, second)
                j += LANES
        return
    while j < length:
        vectors, j = _step(j, length)
        if vectors == 4:
            _twice4(one, rows, count, j * size, weights, target, others, second)
        elif vectors == 2:
            _twice2(one, rows, count, j * size, weights, target, others, second)
        elif vectors == 1:
            _twice1(one, rows, count, j * size, weights, target, others, second)
        else:
            _single(one, size, rows, count, j * size, weights, target)
            _single(one, size, rows, count, j * size, others, second)
        j += max(vectors * LANES, 1)
