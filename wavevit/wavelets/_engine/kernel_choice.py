"""Which compiled kernels may run: installed, not found broken, not switched off."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

from wavevit.checks import check_bool
from wavevit.wavelets._engine.symbolic_shapes import exporting

__all__ = ["enabled", "has_kernel", "imported", "kernels", "kernels_for", "loaded"]


class _Switch:
    """Which kernels may run: installed, not found broken, not switched off."""

    def __init__(self) -> None:
        self.cpu = find_spec("numba") is not None
        self.cuda = find_spec("triton") is not None
        self.enabled = True


_switch = _Switch()
_WIDE, _HALF = (torch.float32, torch.float64), (torch.bfloat16, torch.float16)


@contextmanager
def kernels(enabled: bool) -> Iterator[None]:
    """Switches the compiled kernels off (or on again) inside: to compare, or to debug.

    Args:
        enabled: False for plain torch operations, on every device and in every transform.

    Guarantees:
        The same values and derivatives either way, to rounding (tests/properties/test_haar_fast.py,
        tests/properties/test_bank_fast.py).

    Example:
        >>> import torch
        >>> from wavevit.wavelets import dwt2
        >>> with kernels(False):
        ...     dwt2(torch.ones(1, 1, 2, 2)).shape
        torch.Size([1, 1, 4, 1, 1])
    """
    before, _switch.enabled = _switch.enabled, check_bool("enabled", enabled)
    try:
        yield
    finally:
        _switch.enabled = before


def enabled() -> bool:
    """Whether kernels are switched on (`kernels`)."""
    return _switch.enabled


def has_kernel(x: Tensor) -> bool:
    """Whether a compiled kernel will transform tensors like this one."""
    if not _switch.enabled or exporting():
        return False
    if x.device.type == "cpu":
        return _switch.cpu and x.dtype in _WIDE
    return x.device.type == "cuda" and _switch.cuda and x.dtype in (*_WIDE, *_HALF)


def kernels_for(x: Tensor, name: str, what: str) -> ModuleType | None:
    """The module of kernels for tensors like this one, or None where there is none.

    Where the compiler is installed and does not work, as numba with a numpy that is too new for it,
    one warning is given and plain operations are used.
    """
    return loaded(x.device.type, name, what) if has_kernel(x) else None


def loaded(device: str, name: str, what: str) -> ModuleType | None:
    """`imported`, or a warning and None where the compiler of the device is broken."""
    try:
        return imported(name)
    except ImportError as error:
        setattr(_switch, device, False)
        warnings.warn(f"{what} without a fast kernel: {error}", stacklevel=4)
        return None


@cache
def imported(name: str) -> ModuleType:
    """A module of kernels, looked up once."""
    return import_module(name)
