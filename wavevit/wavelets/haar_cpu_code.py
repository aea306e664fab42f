"""What the CPU's Haar loops are written in: LLVM vectors, single elements, and numba's compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["Lanes", "compiled", "load", "store"]


class Lanes:
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
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in: compile in every process
        return njit(nogil=True)(function)
