"""The registry of experiments: every study, measurement and benchmark by its name.

Nothing is listed by hand. A module of one of the three packages, or a user's file, holds an
`Experiment` as a value, and that is all there is to add one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TypeVar

from experiments.core.experiment import Experiment
from experiments.core.extensions import loaded_modules
from wavevit.checks import check_choice, fail

__all__ = ["all_experiments", "experiments_by_verb", "find_experiment", "found_in"]

PACKAGES = ("experiments.studies", "experiments.measurements", "experiments.benchmarks")


E = TypeVar("E", bound=Experiment)


def _values(modules: Iterable[ModuleType], kind: type[E]) -> dict[str, E]:
    found: dict[str, E] = {}
    values = [value for module in modules for value in vars(module).values()]
    for value in values:
        if isinstance(value, kind) and found.setdefault(value.name, value) is not value:
            fail("name", f"one {value.kind} named {value.name!r}", "two")
    return found


def found_in(package: str, path: Iterable[str], kind: type[E]) -> dict[str, E]:
    """The experiments of one kind in the modules of a package, by name, in the names' order.

    Args:
        package: its ``__name__``.
        path: its ``__path__``.
        kind: the class of the kind.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(path) if module.name[0] != "_")
    modules = [importlib.import_module(f"{package}.{name}") for name in names]
    return dict(sorted(_values(modules, kind).items()))


def all_experiments() -> Iterator[Experiment]:
    """Those of the three packages, then those of the users' files that were loaded."""
    for package in PACKAGES:
        yield from importlib.import_module(package).EXPERIMENTS.values()
    yield from _values(loaded_modules(), Experiment).values()  # type: ignore[type-abstract]


def experiments_by_verb(verb: str) -> dict[str, Experiment]:
    """What ``python -m experiments VERB`` can name; a user's file wins over ours."""
    return {one.name: one for one in all_experiments() if one.verb == verb}


def find_experiment(verb: str, name: str) -> Experiment:
    """An experiment by what is typed.

    Raises:
        ValueError: an unknown name; the nearest ones are offered.
    """
    found = experiments_by_verb(verb)
    check_choice("name", name, found)
    return found[name]
