"""What the CPU's Haar loops are written in: LLVM vectors, single elements, and numba's compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

__all__ = [
    "Lanes",
    "compiled",
    "expect_reads",
    "expect_writes",
    "inlined",
    "load",
    "settle",
    "store",
]


class Lanes:
    """Emits loads, stores and shuffles of vectors; memory is only aligned to one element."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, count: int) -> None:
        self.builder, self.count, self.scalar = builder, count, scalar
        self.type = ir.VectorType(scalar, count)
        self.bytes = 4 if isinstance(scalar, ir.FloatType) else 8
        self.half = ir.Constant(self.type, [0.5] * count)

    def _pointer(self, address: ir.Value, step: int, kind: ir.VectorType) -> ir.Value:
        offset = ir.Constant(address.type, step * kind.count * self.bytes)
        return self.builder.inttoptr(self.builder.add(address, offset), kind.as_pointer())

    def _read(self, address: ir.Value, step: int, kind: ir.VectorType) -> ir.Value:
        value = self.builder.load(self._pointer(address, step, kind))
        value.align = self.bytes
        return value

    def load(self, address: ir.Value) -> ir.Value:
        """Half of what is there."""
        return self.builder.fmul(self.half, self._read(address, 0, self.type))

    def halves(self, left: ir.Value, right: ir.Value) -> list[ir.Value]:
        """Half the sum and half the difference; halving is exact, so nothing rounds twice."""
        name = f"llvm.fmuladd.v{self.count}f{8 * self.bytes}"
        fused = get_or_insert_function(
            self.builder.module, ir.FunctionType(self.type, [self.type] * 3), name
        )
        half, minus = self.half, ir.Constant(self.type, [-0.5] * self.count)
        start = self.builder.fmul(half, left)
        return [self.builder.call(fused, [factor, right, start]) for factor in (half, minus)]

    def store(self, value: ir.Value, address: ir.Value, step: int = 0) -> None:
        self.builder.store(value, self._pointer(address, step, self.type)).align = self.bytes

    def store_past(self, value: ir.Value, address: ir.Value) -> None:
        """Without a place in the caches, which a store must otherwise fetch first."""
        stored = self.builder.store(value, self._pointer(address, 0, self.type))
        stored.align = 4 * self.count
        flag = self.builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        stored.set_metadata("nontemporal", flag)

    def _shuffle(self, first: ir.Value, second: ir.Value, lanes: list[int]) -> ir.Value:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.count), lanes)
        return self.builder.shuffle_vector(first, second, mask)

    def load_pixels(self, address: ir.Value) -> list[ir.Value]:
        """Twice `count` elements in the order in which `apart` wants them.

        The quarters are paired 0 with 2 and 1 with 3: then no shuffle crosses the middle of a
        vector, which costs several times as much as one that stays inside its half.
        """
        quarter = ir.VectorType(self.scalar, self.count // 2)
        parts = [self._read(address, step, quarter) for step in range(4)]
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.count), list(range(self.count)))
        return [self.builder.shuffle_vector(parts[i], parts[i + 2], lanes) for i in (0, 1)]

    def apart(self, first: ir.Value, second: ir.Value) -> list[ir.Value]:
        """The even and the odd elements of what `load_pixels` gave, in order."""
        quarter, lanes = self.count // 2, list(range(2 * self.count))
        sides = (lanes[: self.count], lanes[self.count :])
        chunks = [side[start : start + quarter] for start in (0, quarter) for side in sides]
        return [
            self._shuffle(first, second, [lane for chunk in chunks for lane in chunk[odd::2]])
            for odd in (0, 1)
        ]

    def together(self, even: ir.Value, odd: ir.Value) -> list[ir.Value]:
        """`apart` backwards."""
        lanes = [lane + side * self.count for lane in range(self.count) for side in (0, 1)]
        halves = (lanes[: self.count], lanes[self.count :])
        return [self._shuffle(even, odd, half) for half in halves]


@intrinsic
def load(typing, half, address):
    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[1], args[0].type.as_pointer()))

    return half(half, address), codegen


@intrinsic
def store(typing, half, address, value):
    def codegen(context, builder, signature, args):
        builder.store(args[2], builder.inttoptr(args[1], args[0].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(half, address, half), codegen


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code, kept beside the file. It is made anew when that file changes, and not when
    one does that it takes rows or vectors from: remove ``__pycache__`` then."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in: compile in every process
        return njit(nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`compiled` into each function that calls it: a call costs as much as a short row."""
    return njit(nogil=True, forceinline=True)(function)


def _prefetch(write: bool) -> Callable[..., Any]:
    def codegen(context, builder, signature, args):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        prefetch = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # Kept in all caches, as data and not as code.
        builder.call(
            prefetch, [builder.inttoptr(args[0], byte), word(int(write)), word(3), word(1)]
        )
        return context.get_dummy_value()

    return codegen


@intrinsic
def settle(typing):
    """Waits for what was stored past the caches, which other threads may see late without."""

    def codegen(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _will_read(typing, address):
    return types.void(address), _prefetch(False)


@intrinsic
def _will_write(typing, address):
    return types.void(address), _prefetch(True)


_LINE = 64  # bytes


@compiled
def expect_reads(start, count):
    """Asks for the cache lines of `count` bytes; an address that is nobody's does no harm."""
    for step in range(0, count, _LINE):
        _will_read(start + step)


@compiled
def expect_writes(start, count):
    """The same for lines that will be written."""
    for step in range(0, count, _LINE):
        _will_write(start + step)
