"""Users' own files: studies, measurements, benchmarks and layers from outside the package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from wavevit.checks import fail

__all__ = ["load_files", "loaded_files", "loaded_modules"]

_LOADED: dict[Path, ModuleType] = {}  # in the order in which they were loaded


def load_files(paths: Iterable[Path]) -> None:
    """Imports Python files once each, so that what they register can be named.

    Args:
        paths: of the files (``--module FILE``).

    Raises:
        ValueError: no Python file there.
    """
    for path in (Path(path).resolve() for path in paths):
        if path in _LOADED:
            continue
        if path.suffix != ".py" or not path.is_file():
            fail("module", "a Python file", path)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        if path.stem in sys.modules:
            fail("module", "a file whose name is no module's that is imported already", path)
        sys.modules[path.stem] = module
        _LOADED[path] = module
        spec.loader.exec_module(module)


def loaded_files() -> tuple[Path, ...]:
    """The files that `load_files` has imported; processes of workers import the same."""
    return tuple(_LOADED)


def loaded_modules() -> tuple[ModuleType, ...]:
    """The same as modules."""
    return tuple(_LOADED.values())
