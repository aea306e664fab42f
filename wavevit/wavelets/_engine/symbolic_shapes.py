"""Symbolic shapes: sizes that an exported graph leaves open. No code may branch on or compare them.

`torch.export` and `torch.onnx` run the code once with symbols for sides, and `torch.jit.trace` with
tensors. A branch on a symbol (is this side odd?) would fix its answer for every later image, so it
becomes arithmetic here: an index that is computed in the graph from the sides. Everywhere else
sizes are numbers and the ordinary operations, which are faster, are used.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.wavelets._engine.torch_private import exporting_flag, jit_tracing, untraced

__all__ = [
    "certainly",
    "exporting",
    "fixed",
    "index_within",
    "known_equal",
    "larger",
    "smaller",
    "take",
]


def exporting() -> bool:
    """Whether a graph is exported that must take other sizes and must not need this package."""
    if exporting_flag():
        return True
    return not torch.compiler.is_compiling() and jit_tracing()  # by torch.jit.trace


def certainly(condition: bool) -> bool:
    """`condition`; in an exported graph only where it holds for every size the graph takes.

    So a check refuses what it knows to be wrong, and leaves the rest to the operation that
    follows, which complains when the graph runs.
    """
    if isinstance(condition, Tensor):  # a size of torch.jit.trace: known for the example alone
        return False
    return _true_for_every_size(condition) if exporting() else condition


def known_equal(one: int, two: int) -> bool:
    """Whether two sizes are equal; of symbols only if they are for every size.

    `torch.jit.trace` has tensors for sizes, and a graph of theirs is for one size in any case.
    """
    equal = one == two
    if isinstance(equal, Tensor):
        return bool(equal)
    return _true_for_every_size(equal)


def _true_for_every_size(condition: bool) -> bool:
    """`condition`; of symbols True only if no size makes it False."""
    # The compiler shows symbols as if they were plain numbers. Outside it a plain answer needs no
    # sympy, which takes a fifth of the time of `import wavevit`.
    if type(condition) is bool and not torch.compiler.is_compiling():
        return condition
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(condition)


def larger(one: int, two: int) -> int:
    """The larger of two sizes: of symbols one more symbol, where `max` would choose."""
    found: int = torch.sym_max(one, two) if _are_numbers(one, two) else max(one, two)
    return found


def smaller(one: int, two: int) -> int:
    """The smaller of two sizes: of symbols one more symbol, where `min` would choose."""
    found: int = torch.sym_min(one, two) if _are_numbers(one, two) else min(one, two)
    return found


def _are_numbers(*sizes: int) -> bool:
    return not any(isinstance(size, Tensor) for size in sizes)  # what `torch.jit.trace` has


def fixed(size: int) -> int:
    """`size` as a plain number, where a graph cannot leave it open.

    In a trace a size is a tensor, and torch warns of every number that is made of it.
    """
    if not isinstance(size, Tensor):
        return size
    with untraced():
        return int(size)


def index_within(start: int, stop: int, side: int, device: torch.device) -> Tensor:
    """The positions from `start` to `stop`, those outside a side replaced by its nearest sample."""
    return torch.arange(start, stop, device=device).clamp(0, side - 1)


def take(x: Tensor, dim: int, start: int, count: int) -> Tensor:
    """`count` samples along `dim`: a slice, in an exported graph a gather of exactly that many."""
    if not exporting():
        return x.narrow(dim, start, count)
    return x.index_select(dim, torch.arange(start, start + count, device=x.device))
