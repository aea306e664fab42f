"""Deprecated names: warnings that name the successor and point at the caller's line."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["deprecated_names", "moved_names", "successor", "warn_deprecated"]


def warn_deprecated(old: str, new: str) -> None:
    """Warns that `old` is deprecated and names `new`, at the first line outside wavevit.

    Args:
        old: the deprecated name.
        new: the name to use instead.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module == "dataclasses" or module.partition(".")[0] == "wavevit"


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
