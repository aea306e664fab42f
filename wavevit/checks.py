"""Checks of arguments, with one form of error message.

A message names the argument, what was expected and what was given, so that one line is enough to
correct the call. All public functions of wavevit use this module.
"""

from __future__ import annotations

import difflib
import importlib
import math
import numbers
import operator
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import torch

__all__ = [
    "as_pair",
    "check_at_least",
    "check_bool",
    "check_callable",
    "check_choice",
    "check_device",
    "check_generator",
    "check_grid",
    "check_image",
    "check_module",
    "check_multiple",
    "check_number",
    "check_numbers",
    "check_pair",
    "check_real",
    "check_seed",
    "check_size",
    "check_tensor",
    "fail",
    "nearest",
    "require_extra",
]


def fail(argument: str, expected: str, got: object) -> NoReturn:
    """Raises a ``ValueError`` that names the argument, what was expected and what was given."""
    raise ValueError(f"{argument}: expected {expected}, got {got}")


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names closest to `name`, best first; empty where nothing is close."""
    return difflib.get_close_matches(str(name), list(known), n=count, cutoff=0.5)


def check_choice(argument: str, value: str, choices: Iterable[str]) -> str:
    """Returns `value` if it is one of `choices`; the error message lists the nearest ones."""
    known = list(choices)
    if value in known:
        return value
    close = nearest(value, known)
    hint = f" (nearest: {', '.join(close)})" if close else ""
    listed = ", ".join(map(repr, known[:12])) + (", …" if len(known) > 12 else "")
    fail(argument, f"one of {listed}{hint}", repr(value))


def check_at_least(argument: str, value: int, minimum: int) -> int:
    """Returns `value` if it is an integer not below `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        fail(argument, f"an integer of at least {minimum}", repr(value))
    return value


def check_bool(argument: str, value: bool) -> bool:
    """Returns `value` if it is True or False; the text ``"no"`` would count as true."""
    if not isinstance(value, bool):
        fail(argument, "True or False", repr(value))
    return value


def check_number(
    argument: str,
    value: float,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    expected: str = "",
) -> float:
    """Returns `value` if it is a finite number within the bounds.

    Args:
        argument: its name in the message.
        value: to check; NumPy's numbers are numbers too.
        least: the smallest value.
        above: the value is above this one, and not equal to it.
        most: the largest value.
        below: the value is below this one, and not equal to it.
        expected: what the message says in place of the bounds.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (
        not number
        or not math.isfinite(value)
        or (least is not None and value < least)
        or (above is not None and value <= above)
        or (most is not None and value > most)
        or (below is not None and value >= below)
    ):
        words = {"of at least": least, "above": above, "at most": most, "below": below}
        bounds = [f"{word} {bound:g}" for word, bound in words.items() if bound is not None]
        if bounds == ["above 0"]:
            found = "a positive number"
        else:
            found = f"a number {' and '.join(bounds)}" if bounds else "a finite number"
        fail(argument, expected or found, repr(value))
    return value


def check_generator(argument: str, value: torch.Generator | None) -> torch.Generator | None:
    """Returns `value` if it is a random generator of torch or None; a seed is neither."""
    if value is not None and not isinstance(value, torch.Generator):
        expected = "a torch.Generator (torch.Generator().manual_seed(0) for seed 0) or None"
        fail(argument, expected, repr(value))
    return value


def check_multiple(argument: str, value: int, divisor: int) -> int:
    """Returns `value` if `divisor` divides it."""
    if value % divisor:
        fail(argument, f"a multiple of {divisor}", value)
    return value


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)


def check_pair(argument: str, value: Any, expected: str, least: int | None = None) -> None:
    """Checks that a value is two whole numbers, each at least `least`."""
    if (
        not _is_sequence(value)
        or len(value) != 2
        or any(isinstance(side, bool) or not isinstance(side, numbers.Integral) for side in value)
    ):
        fail(argument, expected, repr(value))
    if least is not None and min(value) < least:
        fail(argument, expected, repr(value))


def check_numbers(argument: str, value: Any, expected: str, count: int | None = None) -> None:
    """Checks that a value is a sequence of finite numbers, `count` of them where that is given."""
    if not _is_sequence(value) or (len(value) != count if count is not None else not len(value)):
        fail(argument, expected, repr(value))
    for number in value:
        real = isinstance(number, numbers.Real) and not isinstance(number, bool)
        if not real or not math.isfinite(number):
            fail(argument, expected, repr(value))


def check_seed(argument: str, value: int) -> int:
    """Returns `value` if it is an integer that torch takes as a seed."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        fail(argument, "an integer", repr(value))
    return value


def check_callable(argument: str, value: Any) -> None:
    """Checks that a value can be called."""
    if not callable(value):
        fail(argument, "a torch.nn.Module or another callable", type(value).__name__)


def check_module(argument: str, value: Any) -> None:
    """Checks that a value is a `torch.nn.Module`."""
    if not isinstance(value, torch.nn.Module):
        fail(argument, "a torch.nn.Module", type(value).__name__)


def check_tensor(argument: str, value: Any, shape: str, ndim: int) -> None:
    """Checks the type and the rank of a tensor of any dtype.

    Args:
        argument: its name in the message.
        value: to check.
        shape: in words, such as ``"(B, C, H, W)"``.
        ndim: number of its dimensions.
    """
    if not isinstance(value, torch.Tensor):
        fail(argument, f"a torch.Tensor of shape {shape}", type(value).__name__)
    if value.ndim != ndim:
        fail(argument, f"{ndim} dimensions {shape}", f"{value.ndim} in shape {tuple(value.shape)}")


def check_real(argument: str, value: torch.Tensor) -> torch.Tensor:
    """Returns a tensor if it is not complex: a norm of its real part alone would hide the rest.

    Args:
        argument: its name in the message.
        value: to check.
    """
    if value.is_complex():
        expected = "real numbers (torch.view_as_real makes two of a complex one)"
        fail(argument, expected, value.dtype)
    return value


def check_size(argument: str, size: Any) -> int | tuple[int, int]:
    """Returns a side, or (height, width), as plain integers; accepts lists and NumPy integers."""
    try:
        sides = [operator.index(size)]
    except TypeError:
        try:
            sides = [operator.index(side) for side in size]
        except TypeError:
            sides = []
        if len(sides) != 2:
            sides = []
    if not sides or isinstance(size, bool) or min(sides) < 1:
        fail(argument, "one integer or (height, width), each at least 1", repr(size))
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def as_pair(size: int | Sequence[int]) -> tuple[int, int]:
    """A side, or (height, width), as (height, width)."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def check_image(x: torch.Tensor, argument: str = "x", *, channels: int | None = None) -> None:
    """Checks a batch of images: a floating tensor of shape (B, C, H, W) without an empty side.

    Raises:
        ValueError: wrong type, rank, dtype, number of channels, or a side of zero pixels.
    """
    check_grid(x, argument)
    if torch.jit.is_tracing():  # sizes are tensors then, and torch warns at each comparison
        return
    if channels is not None and x.shape[1] != channels:
        fail(argument, f"{channels} channels", f"{x.shape[1]} in shape {tuple(x.shape)}")


# By number of sides: the words of messages for a shape, for a batch and for one sample.
_GRIDS = {
    1: ("(B, C, L)", "signals", "sample"),
    2: ("(B, C, H, W)", "images", "pixel"),
    3: ("(B, C, D, H, W)", "volumes", "voxel"),
}


def check_grid(x: torch.Tensor, argument: str = "x", dims: int = 2) -> None:
    """Checks a batch of signals, images or volumes: a floating tensor without an empty side.

    Args:
        x: to check.
        argument: its name in the message.
        dims: number of sides: 1 for (B, C, L), 2 for (B, C, H, W), 3 for (B, C, D, H, W).

    Raises:
        ValueError: wrong type, rank or dtype, or a side of zero samples.
    """
    shape, plural, sample = _GRIDS[dims]
    if not isinstance(x, torch.Tensor):
        fail(argument, f"a torch.Tensor of shape {shape}", type(x).__name__)
    if x.ndim != 2 + dims:
        fail(argument, f"{2 + dims} dimensions {shape}", f"{x.ndim} in shape {tuple(x.shape)}")
    if not x.is_floating_point():
        fail(argument, f"a floating dtype (convert integer {plural} and scale them first)", x.dtype)
    if x.dtype.itemsize < 2:  # float8: torch stores it, and has hardly an operation for it
        fail(argument, "a floating dtype of 16 bits or more (x.bfloat16() converts)", x.dtype)
    if torch.jit.is_tracing():  # sizes are tensors then, and torch warns at each comparison
        return
    if 0 in x.shape[2:]:
        fail(argument, f"sides of at least 1 {sample}", f"shape {tuple(x.shape)}")


def check_device(argument: str, device: str | torch.device) -> torch.device:
    """Returns the device, if this machine can compute on it.

    Raises:
        ValueError: a name that torch does not know, a device that this machine lacks, or one that
            holds no values (``"meta"``).
    """
    try:
        found = torch.device(device)
        torch.ones(1, device=found).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        fail(argument, "a device of this machine, such as cpu", f"{str(device)!r} ({said[0]})")
    return found


def require_extra(module: str, extra: str) -> ModuleType:
    """Imports an optional dependency, or says which extra of wavevit installs it.

    Raises:
        ImportError: the module is not installed; the message holds the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # it is installed, but one of its dependencies is not
        raise ImportError(
            f"this needs {module}, which comes with wavevit's extra {extra!r}: "
            f"pip install 'wavevit[{extra}]'"
        ) from error
