"""Import users' Python files that register layers, models or studies (option ``--module``)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from wavevit.checks import fail

__all__ = ["fail_taken", "import_files", "imported", "imported_modules", "origin_of"]

_FILES: dict[str, str] = {}  # as given, absolute where it is a file -> name of its module


def imported() -> tuple[str, ...]:
    """Files that `import_files` has run in this process, so that another process can run them."""
    return tuple(_FILES)


def imported_modules() -> tuple[ModuleType, ...]:
    """The modules that `import_files` has run, in this order."""
    return tuple(sys.modules[name] for name in _FILES.values())


def import_files(sources: Iterable[str | Path]) -> None:
    """Runs Python files that register layers, models or studies, each file once.

    Args:
        sources: paths of Python files, or names of modules. Afterwards Python can import from the
            folder of each file, and from the current folder if the file is below it.

    Raises:
        ValueError: no such file or module, or an error in it.

    Example:
        >>> import_files(["wavevit.layers"])
    """
    for source in sources:
        path = Path(source).expanduser()
        is_file = path.suffix == ".py"
        key = str(path.resolve()) if is_file else str(source)
        if key in _FILES:
            continue
        if is_file and not path.is_file():
            fail("module", "an existing Python file", repr(str(source)))
        try:
            _FILES[key] = _run_file(path.resolve()) if is_file else _import(str(source))
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            got = f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
            raise ValueError(f"module: expected {source} to run, got {got}") from error


def _import(name: str) -> str:
    return importlib.import_module(name).__name__


def _run_file(path: Path) -> str:
    """Imports a file under its own name, or under a longer one where that name is taken."""
    folders, here = [path.parent], Path.cwd().resolve()
    if path.is_relative_to(here):  # as for python -m
        folders.append(here)
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)
    name = path.stem
    taken = sys.modules.get(name)
    if taken is not None and getattr(taken, "__file__", None) == str(path):
        return name
    found = importlib.util.find_spec(name) if taken is None and name.isidentifier() else None
    if found is None or found.origin != str(path):
        name = f"_wavevit_module_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return name


def origin_of(made: Any) -> tuple[str, str]:
    """File and name of a class or a function: the same after its file has run again."""
    module = made.__module__
    home = getattr(sys.modules.get(module), "__file__", None) or module
    # A functools.partial that was given a name has no qualified one.
    return str(home), getattr(made, "__qualname__", made.__name__)


def fail_taken(argument: str, name: str, owner: str, newcomer: str) -> NoReturn:
    """Raises a ``ValueError``: `newcomer` wants a name in a registry that `owner` has."""
    expected = f"a name that is not taken, for {newcomer}"
    fail(argument, expected, f"{name!r}, which is the name of {owner}")
