"""Room for results on the CPU, in large pages where Linux gives them on request.

A result of tens of megabytes is fresh memory, and the first touch of each of its 4 KiB pages takes
longer than the transform that fills it: 50 MB cost 36 ms in small pages and 16 ms in large ones,
where writing takes 3 (measured on the machine of docs/transforms-speed.md). NumPy asks for large
pages for its own arrays from the same size on.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from mmap import PAGESIZE
from typing import Any

from torch import Tensor

__all__ = ["room"]

_LARGE = 1 << 22  # bytes; a request costs 2 microseconds, next to nothing from here on


@cache
def _advise() -> tuple[Callable[..., Any], int] | None:
    """``madvise`` and its flag for large pages, where there is such a thing."""
    if not sys.platform.startswith("linux"):
        return None
    from mmap import MADV_HUGEPAGE

    try:
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return advise, MADV_HUGEPAGE


def room(like: Tensor, shape: Sequence[int]) -> Tensor:
    """An uninitialised tensor of this shape, of the type and on the device of `like`."""
    result = like.new_empty(shape)
    size = result.numel() * result.element_size()
    if size < _LARGE or result.device.type != "cpu":
        return result
    if (found := _advise()) is not None:
        advise, flag = found
        begin = -(-result.data_ptr() // PAGESIZE) * PAGESIZE
        end = (result.data_ptr() + size) // PAGESIZE * PAGESIZE
        advise(begin, end - begin, flag)  # a kernel that has none says no, and nothing is lost
    return result
