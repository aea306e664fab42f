"""Lazy imports of submodules (PEP 562)."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["lazy_submodules"]


def lazy_submodules(
    package: str, path: Iterable[str], others: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package, so that ``package.submodule`` needs no import.

    Args:
        package: its ``__name__``.
        path: its ``__path__``.
        others: more names that `dir` shows, of what the package gives on demand.

    Example:
        >>> import wavevit
        >>> wavevit.measure.cost.__name__
        'cost'
    """
    folders, more = list(path), set(others)

    def submodules() -> set[str]:
        return {module.name for module in pkgutil.iter_modules(folders)}

    def attribute(name: str) -> Any:
        if not name.startswith("_") and name in submodules():
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *submodules(), *more})

    return attribute, names
