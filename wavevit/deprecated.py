"""Deprecated names: warnings that name the successor and point at the caller's line.

`REMOVED_IN` is the release that has none of them any more; every message names it.
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from wavevit.checks import fail

__all__ = [
    "REMOVED_IN",
    "deprecated_names",
    "moved_names",
    "renamed_argument",
    "successor",
    "warn_deprecated",
]

REMOVED_IN = "0.2.0"  # a test fails when this version is reached: delete the old names then

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def warn_deprecated(old: str, new: str) -> None:
    """Warns that `old` is deprecated and names `new`, at the first line outside wavevit.

    Args:
        old: the deprecated name.
        new: the name to use instead.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    message = f"{old} is deprecated, and wavevit {REMOVED_IN} removes it: use {new}"
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module == "dataclasses" or module.partition(".")[0] == "wavevit"


def renamed_argument(
    old: str, new: str
) -> Callable[[Callable[Arguments, Returned]], Callable[Arguments, Returned]]:
    """Decorator of a function one of whose arguments has a new name: the old one warns.

    Args:
        old: the deprecated name.
        new: the name to use instead.
    """

    def decorate(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
        @functools.wraps(function)
        def renamed(*args: Arguments.args, **given: Arguments.kwargs) -> Returned:
            if old in given:
                warn_deprecated(f"{function.__name__}({old}=…)", f"{new}=…")
                if new in given:
                    fail(old, f"None beside {new}, its new name", repr(given[old]))
                given[new] = given.pop(old)
            return function(*args, **given)

        return renamed

    return decorate


def deprecated_names(
    module: str, names: Mapping[str, tuple[str, Callable[[], Any]]]
) -> Callable[[str], Any]:
    """``__getattr__`` of a module whose old names still work.

    Args:
        module: its ``__name__``.
        names: for each old name its successor, in words, and what gives its value.
    """

    def attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        successor, value = names[name]
        warn_deprecated(f"{module}.{name}", successor)
        return value()

    return attribute


def successor(place: str, name: str) -> Any:
    """What is called `name` in the module `place`, which is imported now.

    Only old names look upward like this: what was moved to a higher layer is found by its name, so
    that no file of a lower layer imports it.
    """
    return getattr(importlib.import_module(place), name)


def moved_names(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """``__getattr__`` of a module whose names have moved to others.

    Args:
        module: its ``__name__``.
        places: for each old name the module that has it now.
    """

    def value(name: str) -> Callable[[], Any]:
        return lambda: successor(places[name], name)

    return deprecated_names(
        module, {name: (f"{place}.{name}", value(name)) for name, place in places.items()}
    )
