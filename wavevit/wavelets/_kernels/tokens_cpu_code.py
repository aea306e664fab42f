"""Loops over the channels of tokens on the CPU, in LLVM vectors.

The channels of a token lie side by side, so a depthwise convolution is a sum of products of runs,
and a Haar step of four tokens is a butterfly of four runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wavevit.wavelets._kernels.haar_cpu_code import compiled, load, store

__all__ = ["add_products", "butterfly", "sum_products"]

_LANES = 8


class _Vectors:
    """Emits loads and stores of `_LANES` numbers; memory is only aligned to one of them."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, integer: ir.Type) -> None:
        self.builder, self.integer = builder, integer
        self.size = 4 if isinstance(scalar, ir.FloatType) else 8
        self.type = ir.VectorType(scalar, _LANES)
        self._multiply_add = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(self.type, [self.type] * 3),
            f"llvm.fmuladd.v{_LANES}f{8 * self.size}",
        )

    def _pointer(self, address: ir.Value, kind: ir.Type) -> ir.Value:
        return self.builder.inttoptr(address, kind.as_pointer())

    def plus(self, address: ir.Value, offset: ir.Value, block: int = 0) -> ir.Value:
        """The address of a vector, `block` vectors behind the offset."""
        moved = self.builder.add(address, offset)
        return self.builder.add(moved, ir.Constant(self.integer, block * _LANES * self.size))

    def listed(self, place: ir.Value, index: ir.Value) -> ir.Value:
        """The address that stands at an index of the list at `place`."""
        step = self.builder.mul(index, ir.Constant(self.integer, 8))
        return self.builder.load(self._pointer(self.builder.add(place, step), self.integer))

    def load(self, address: ir.Value) -> ir.Value:
        return self.builder.load(self._pointer(address, self.type), align=self.size)

    def store(self, value: ir.Value, address: ir.Value) -> None:
        self.builder.store(value, self._pointer(address, self.type), align=self.size)

    def fused(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """``a * b + c``"""
        return self.builder.call(self._multiply_add, [a, b, c])

    def filled(self, value: float) -> ir.Constant:
        return ir.Constant(self.type, [value] * _LANES)


def _sums(blocks: int) -> Callable[..., Any]:
    def codegen(context, builder, signature, args):
        _, lefts, rights, count, offset, target = args
        vectors = _Vectors(builder, args[0].type, offset.type)
        totals = [cgutils.alloca_once(builder, vectors.type) for _ in range(blocks)]
        for total in totals:
            builder.store(vectors.filled(0.0), total)
        with cgutils.for_range(builder, count) as loop:
            left, right = vectors.listed(lefts, loop.index), vectors.listed(rights, loop.index)
            for block, total in enumerate(totals):
                a = vectors.load(vectors.plus(left, offset, block))
                b = vectors.load(vectors.plus(right, offset, block))
                builder.store(vectors.fused(a, b, builder.load(total)), total)
        for block, total in enumerate(totals):
            vectors.store(builder.load(total), vectors.plus(target, offset, block))
        return context.get_dummy_value()

    return codegen


@intrinsic
def _sums4(typing, one, lefts, rights, count, offset, target):
    return types.void(one, lefts, rights, count, offset, target), _sums(4)


@intrinsic
def _sums1(typing, one, lefts, rights, count, offset, target):
    return types.void(one, lefts, rights, count, offset, target), _sums(1)


@intrinsic
def _add(typing, one, factor, others, targets, count, offset):
    """One vector of `factor` times those of `others`, added to those of `targets`."""

    def codegen(context, builder, signature, args):
        _, factor, others, targets, count, offset = args
        vectors = _Vectors(builder, args[0].type, offset.type)
        same = vectors.load(vectors.plus(factor, offset))
        with cgutils.for_range(builder, count) as loop:
            other = vectors.load(vectors.plus(vectors.listed(others, loop.index), offset))
            target = vectors.plus(vectors.listed(targets, loop.index), offset)
            vectors.store(vectors.fused(same, other, vectors.load(target)), target)
        return context.get_dummy_value()

    return types.void(one, factor, others, targets, count, offset), codegen


@intrinsic
def _listed(typing, one, place):
    """The integer that lies at `place`."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[1], ir.IntType(64).as_pointer()))

    return types.int64(one, place), codegen


@intrinsic
def _butterfly(typing, one, p, q, r, s, offset, first, step):
    """A vector of each of four runs to one of each of four results, `step` bytes apart."""

    def codegen(context, builder, signature, args):
        _, p, q, r, s, offset, first, step = args
        vectors = _Vectors(builder, args[0].type, offset.type)
        half = vectors.filled(0.5)
        a, b, c, d = (vectors.load(vectors.plus(place, offset)) for place in (p, q, r, s))
        sums = [builder.fmul(half, builder.fadd(*pair)) for pair in ((a, c), (b, d))]
        differences = [builder.fmul(half, builder.fsub(*pair)) for pair in ((a, c), (b, d))]
        results = (
            builder.fadd(*sums),
            builder.fadd(*differences),
            builder.fsub(*sums),
            builder.fsub(*differences),
        )
        for index, value in enumerate(results):
            there = builder.add(first, builder.mul(step, ir.Constant(step.type, index)))
            vectors.store(value, vectors.plus(there, offset))
        return context.get_dummy_value()

    return types.void(one, p, q, r, s, offset, first, step), codegen


@intrinsic
def _scatter(typing, one, first, step, offset, p, q, r, s):
    """`_butterfly` from four runs `step` bytes apart to four places."""

    def codegen(context, builder, signature, args):
        _, first, step, offset, *places = args
        vectors = _Vectors(builder, args[0].type, offset.type)
        half = vectors.filled(0.5)
        runs = []
        for index in range(4):
            there = builder.add(first, builder.mul(step, ir.Constant(step.type, index)))
            runs.append(vectors.load(vectors.plus(there, offset)))
        a, b, c, d = runs
        sums = [builder.fmul(half, builder.fadd(*pair)) for pair in ((a, c), (b, d))]
        differences = [builder.fmul(half, builder.fsub(*pair)) for pair in ((a, c), (b, d))]
        results = (
            builder.fadd(*sums),
            builder.fadd(*differences),
            builder.fsub(*sums),
            builder.fsub(*differences),
        )
        for value, place in zip(results, places, strict=True):
            vectors.store(value, vectors.plus(place, offset))
        return context.get_dummy_value()

    return types.void(one, first, step, offset, p, q, r, s), codegen


@compiled
def sum_products(one, size, lefts, rights, count, target, length):
    """``target[c] = Σ_t left_t[c] · right_t[c]``; `lefts` and `rights` hold `count` addresses."""
    j = 0
    while j < length:
        # The last vectors move back over elements that are done rather than leave a tail.
        if length - j > 2 * _LANES and length >= 4 * _LANES:
            j = min(j, length - 4 * _LANES)
            _sums4(one, lefts, rights, count, j * size, target)
            j += 4 * _LANES
        elif length >= _LANES:
            j = min(j, length - _LANES)
            _sums1(one, lefts, rights, count, j * size, target)
            j += _LANES
        else:
            total = one - one
            for t in range(count):
                left, right = _listed(one, lefts + 8 * t), _listed(one, rights + 8 * t)
                total += load(one, left + j * size) * load(one, right + j * size)
            store(one, target + j * size, total)
            j += 1


@compiled
def add_products(one, size, factor, others, targets, count, length):
    """``target_t[c] += factor[c] · other_t[c]`` for all of `count` others."""
    whole = length // _LANES * _LANES
    for j in range(0, whole, _LANES):
        _add(one, factor, others, targets, count, j * size)
    for j in range(whole, length):
        o = j * size
        same = load(one, factor + o)
        for t in range(count):
            target = _listed(one, targets + 8 * t) + o
            other = load(one, _listed(one, others + 8 * t) + o)
            store(one, target, load(one, target) + same * other)


@compiled
def butterfly(one, half, size, gather, p, q, r, s, first, step, length):
    """One Haar step of four runs of `length` elements at `p`, `q`, `r`, `s`.

    The results lie `step` bytes apart from `first` on; without `gather` those are the runs and the
    four places get the results. The matrix of the step is its own inverse.
    """
    j = 0
    while j < length:
        if length >= _LANES:
            j = min(j, length - _LANES)
            if gather:
                _butterfly(one, p, q, r, s, j * size, first, step)
            else:
                _scatter(one, first, step, j * size, p, q, r, s)
            j += _LANES
        else:
            o = j * size
            if gather:
                a, b = load(one, p + o), load(one, q + o)
                c, d = load(one, r + o), load(one, s + o)
            else:
                a, b = load(one, first + o), load(one, first + step + o)
                c, d = load(one, first + 2 * step + o), load(one, first + 3 * step + o)
            left, right = half * (a + c), half * (b + d)
            upper, lower = half * (a - c), half * (b - d)
            if gather:
                store(one, first + o, left + right)
                store(one, first + step + o, upper + lower)
                store(one, first + 2 * step + o, left - right)
                store(one, first + 3 * step + o, upper - lower)
            else:
                store(one, p + o, left + right)
                store(one, q + o, upper + lower)
                store(one, r + o, left - right)
                store(one, s + o, upper - lower)
            j += 1
