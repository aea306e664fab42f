"""Digest of the code that a run's result can depend on.

The run key holds it: two runs are equal when configuration, code and machine are. The code is what
the modules that train and measure import, directly or through others, without comments,
docstrings and layout. So a comment, or a change of the audit, the reports or the command line,
trains nothing again.

Folders of runs that were finished under another digest stay complete: the same study skips them,
and its record says which code they had. Only another study does not take them.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from wavevit.plugins import imported_modules

ROOT = Path(__file__).parents[2]
# The modules that train and, by task, measure: everything else is reached from them.
ROOTS = (
    "experiments.core.training",
    "experiments.core.evaluation",
    "experiments.core.segmentation.measures",
    "experiments.core.task_evaluation",
)
# How files are named, written and read: no figure of a run depends on it.
_BOOKKEEPING = ("experiments.core.folder", "experiments.core.records", "experiments.core.code")
# The packages' own top only passes names on.
_TOPS = ("wavevit", "wavevit.lazy", "experiments", "experiments.core")
# What imports by a name made at run time: any module of the importer's package may be meant.
_BY_NAME = ("importlib", "importlib.import_module", "pkgutil")


def _path_of(module: str, root: Path) -> Path | None:
    """The file of a module of ours; None for another package's."""
    path = root.joinpath(*module.split("."))
    if path.with_suffix(".py").exists():
        return path.with_suffix(".py")
    package = path / "__init__.py"
    return package if package.exists() else None


def _imports(tree: ast.Module) -> Iterator[str]:
    """Names in import statements, wherever they stand; of ``from a import b`` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _with_parents(module: str) -> Iterator[str]:
    """A module and the packages that are imported with it."""
    parts = module.split(".")
    yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _siblings(path: Path, root: Path) -> Iterator[str]:
    """All modules of the room that a file is in (wavevit.wavelets, with the packages inside it);
    none for a file beside the rooms."""
    library, *room, _ = path.relative_to(root).parts
    for file in (root / library / room[0]).rglob("*.py") if room else ():
        parts = file.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_closure(roots: Iterable[str] = ROOTS, root: Path = ROOT) -> dict[str, ast.Module]:
    """The modules that `roots` import, directly or through others, as syntax trees."""
    found: dict[str, ast.Module] = {}
    waiting = list(roots)
    while waiting:
        for module in _with_parents(waiting.pop()):
            path = _path_of(module, root)
            if path is None or module in found or module in (*_TOPS, *_BOOKKEEPING):
                continue
            found[module] = ast.parse(path.read_text())
            names = list(_imports(found[module]))
            waiting += names
            if any(name in _BY_NAME for name in names):
                waiting += _siblings(path, root)
    return found


def digest_of(trees: Iterable[ast.Module]) -> str:
    """16 hexadecimal digits of what files of Python compute: their syntax, docstrings left out."""
    digest = hashlib.sha256()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


@cache
def _own_digest() -> str:
    closure = import_closure()
    return digest_of(closure[module] for module in sorted(closure))


def code_digest() -> str:
    """The digest of the code that trains and measures, with the user's files that were loaded."""
    files = [Path(module.__file__) for module in imported_modules() if module.__file__]
    if not files:
        return _own_digest()
    return f"{_own_digest()}-{digest_of(ast.parse(path.read_text()) for path in files)}"
