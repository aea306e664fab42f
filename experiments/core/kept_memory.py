"""Memory that a process keeps when tensors are freed, so that the next step finds it again."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h


def keep_memory() -> None:
    """Tells the C library to keep what is freed, where it can be told.

    Otherwise glibc gives large tensors back to the system at every step and is given fresh pages at
    the next, whose first touch takes a tenth to a quarter of a segmenter's training. Of small
    models it does so in some processes and not in others: the forward pass of a ViT of the studies
    took 14 ms or 17 to 19 ms, a training step with dual-tree tokens 46 or 51 to 55.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library; TypeError: Windows
        tell = ctypes.CDLL(None).mallopt
        tell(_TRIM_THRESHOLD, 2**31 - 1)
        tell(_MMAP_MAX, 0)
