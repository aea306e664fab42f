"""Users' own files: studies, measurements, benchmarks and layers from outside the package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from wavevit.checks import fail

__all__ = ["load_files", "loaded_files"]

_LOADED: dict[Path, None] = {}  # in the order in which they were loaded


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
        sys.modules.setdefault(path.stem, module)
        _LOADED[path] = None
        spec.loader.exec_module(module)


def loaded_files() -> tuple[Path, ...]:
    """The files that `load_files` has imported; processes of workers import the same."""
    return tuple(_LOADED)
