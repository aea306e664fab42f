"""Load a model from a Python file, with imports from the file's folder."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from wavevit.checks import fail, nearest

__all__ = ["Neighbourhood", "load_factory"]


class Neighbourhood:
    """The folders that a file imports from, and what was imported from them.

    Inside `importable` its modules are in `sys.modules` and its folders come first in
    `sys.path`; outside they are not, so that two files with neighbours of one name get their own.

    Args:
        file: a Python file. Its own folder is importable; for a file of a package, the folder
            that holds the package; and the current folder, for a file below it, as for
            ``python -m``.
    """

    def __init__(self, file: Path) -> None:
        self.file = file.resolve()
        top = self.file.parent
        while (top / "__init__.py").is_file():
            top = top.parent
        self.top = top
        folders = [self.file.parent, top]
        here = Path.cwd().resolve()
        if top.is_relative_to(here):
            folders.append(here)
        self.folders = list(dict.fromkeys(folders))
        self.neighbours = {
            entry.stem
            for folder in self.folders
            for entry in folder.iterdir()
            if entry.suffix == ".py" or (entry.is_dir() and entry.name.isidentifier())
        } - {"__main__"}
        self.modules: dict[str, ModuleType] = {}
        self._inside = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Neighbourhood:
        return self  # copies of a model import from the same folder; modules cannot be copied

    @property
    def name(self) -> str:
        """Of the file's module: its own in a package, else one that nothing else has.

        A file outside a package gets a package of its own, so that it can import a neighbour
        as ``from .neighbour import …`` too.
        """
        if self._in_package:
            parts = self.file.relative_to(self.top).with_suffix("").parts
            return ".".join(parts)
        return f"{self._package}.{self.file.stem}"

    @property
    def _in_package(self) -> bool:
        return self.top != self.file.parent

    @property
    def _package(self) -> str:
        folder = str(self.file.parent).encode(errors="surrogateescape")  # names not in UTF-8
        digest = hashlib.sha256(folder).hexdigest()[:12]
        return f"_wavevit_audited_{digest}"

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Makes the neighbours importable, here and in what is called from here."""
        if self._inside:
            yield
            return
        folders = [str(folder) for folder in self.folders]
        hidden = {name: sys.modules.pop(name) for name in self._foreign()}
        before = set(sys.modules)
        sys.modules.update(self.modules)
        sys.path[:0] = folders
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            for folder in folders:
                if folder in sys.path:  # the file may have changed it
                    sys.path.remove(folder)
            for name in set(sys.modules) - before:
                if name in self.modules or self._holds(sys.modules[name]):
                    self.modules[name] = sys.modules.pop(name)
            sys.modules.update(hidden)

    def _holds(self, module: Any) -> bool:
        """Whether a module lies in these folders; what is installed there (``.venv``) does not."""
        return any(
            place.is_relative_to(self.folders[-1]) and not _is_installed(place)
            for place in _places(module)
        )

    def _foreign(self) -> list[str]:
        """Names of imported modules whose place a neighbour of the same name has to take.

        What was installed stays: Python does not import it a second time either.
        """
        tops = {name for name in self.neighbours if name in sys.modules}
        if not tops:  # the usual case, at each call of the model
            return []
        return [
            name
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in tops
            and (places := _places(module))
            and not any(map(_is_installed, places))
            and not self._holds(module)
        ]

    def load(self) -> ModuleType:
        """Runs the file, once, as an imported module and not as a script."""
        with self.importable():
            if self.name in sys.modules:
                return sys.modules[self.name]
            if not self._in_package:
                package = ModuleType(self._package)
                package.__path__ = [str(self.file.parent)]
                sys.modules[self._package] = package
            else:
                importlib.import_module(self.name.rpartition(".")[0])
            spec = importlib.util.spec_from_file_location(self.name, self.file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[self.name] = module  # dataclasses, pickle and circular imports look here
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[self.name]
                raise
            return module


def _places(module: Any) -> list[Path]:
    """The file of a module and the folders of a package."""
    try:
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    except Exception:  # somebody's lazy module
        return []
    return [Path(place).resolve() for place in places if isinstance(place, str)]


_SCHEMES = ("stdlib", "platstdlib", "purelib", "platlib")
_ROOTS = [
    Path(__file__).resolve().parents[1],  # wavevit itself may be a checkout beside the file
    *{Path(sysconfig.get_path(name)).resolve() for name in _SCHEMES},
]


def _is_installed(place: Path) -> bool:
    return any(place.is_relative_to(root) for root in _ROOTS)


def load_factory(path: Path, factory: str) -> tuple[Any, Neighbourhood]:
    """What `factory` of a Python file returns, or is where it is a module. This runs the file.

    Args:
        path: the file.
        factory: a name in it, with dots for what is inside of a class or a module.

    Returns:
        The model, and where it imports from; it has to be called inside of ``importable()``.

    Raises:
        ValueError: no such file or name, a factory that needs arguments, or whatever the file
            threw; a file that ends Python (`argparse`, ``sys.exit``) is named.
    """
    if not path.is_file():
        fail("model", "an existing file before ':'", repr(str(path)))
    around, name = Neighbourhood(path), f"{path}:{factory}"
    arguments = sys.argv
    sys.argv = [str(path)]  # the file's own, as if it were run without any
    try:
        with _reported(name):
            module = around.load()
            with around.importable():
                made = _looked_up(module, factory, path)
        if not isinstance(made, nn.Module):
            _check_needs_nothing(made, name)
            with _reported(name), around.importable():
                made = made()
    finally:
        sys.argv = arguments
    return made, around


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """Somebody else's code, whatever it throws: the argument that named it is at fault."""
    try:
        yield
    except (Exception, SystemExit) as error:
        got = f"{type(error).__name__}: {error}"
        if isinstance(error, SystemExit):
            got += " (it ends Python with sys.exit or argparse)"
        raise ValueError(f"model: expected {name} to build a model, got {got}") from error


def _looked_up(module: ModuleType, factory: str, path: Path) -> Any:
    found: Any = module
    for name in factory.split("."):
        if not hasattr(found, name):
            known = [n for n in vars(found) if not n.startswith("_")] if factory else []
            close = nearest(name, known)
            hint = f" (nearest: {', '.join(close)})" if close else ""
            raise AttributeError(f"{path} has no {factory!r}{hint}")
        found = getattr(found, name)
    return found


def _check_needs_nothing(made: Any, name: str) -> None:
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):  # no callable, or one without a signature: it is tried
        return
    try:
        signature.bind()
    except TypeError as error:
        called = f"{name.rpartition(':')[2]}{signature}"
        fail("model", f"{name} to need no arguments", f"{called}: {error}")
