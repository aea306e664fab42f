"""The registry of experiments: every study, measurement and benchmark by its name.

Nothing is listed by hand. A module of one of the three packages, or a user's file, holds an
`Experiment` as a value, and that is all there is to add one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TypeVar, cast

from experiments.core.benchmark import Benchmark
from experiments.core.experiment import Experiment
from experiments.core.measurement import Measurement
from experiments.core.study import Study
from wavevit.checks import check_choice, fail
from wavevit.plugins import imported_modules

KINDS: tuple[type[Experiment], ...] = (Study, Measurement, Benchmark)
PACKAGES = ("experiments.studies", "experiments.measurements", "experiments.benchmarks")
E = TypeVar("E", bound=Experiment)
_FOUND: dict[str, dict[str, Experiment]] = {}  # by package, once its modules are imported


def _values(modules: Iterable[ModuleType], kinds: tuple[type[E], ...]) -> dict[str, E]:
    values = [value for module in modules for value in vars(module).values()]
    return by_name(value for value in values if isinstance(value, kinds))


def found_in(package: str, kind: type[E]) -> dict[str, E]:
    """The experiments of one kind in the modules of a package, by name, in the names' order."""
    if package not in _FOUND:
        path = importlib.import_module(package).__path__
        names = sorted(module.name for module in pkgutil.iter_modules(path))
        modules = [importlib.import_module(f"{package}.{name}") for name in names if name[0] != "_"]
        _FOUND[package] = dict(sorted(_values(modules, (kind,)).items()))
    return cast("dict[str, E]", _FOUND[package])


def all_experiments() -> Iterator[Experiment]:
    """Those of the three packages, then those of the users' files that were loaded."""
    for package, kind in zip(PACKAGES, KINDS, strict=True):
        yield from found_in(package, kind).values()
    yield from _values(imported_modules(), KINDS).values()


def experiments_by_verb(verb: str) -> dict[str, Experiment]:
    """What ``python -m experiments VERB`` can name.

    Raises:
        ValueError: two experiments of one name; a user's file needs other names than ours.
    """
    return by_name(one for one in all_experiments() if one.verb == verb)


def by_name(experiments: Iterable[E]) -> dict[str, E]:
    """Experiments by their names.

    Raises:
        ValueError: two of one name; both are named.
    """
    found: dict[str, E] = {}
    for one in experiments:
        other = found.setdefault(one.name, one)
        if other is not one:
            both = " and ".join(f"the {x.kind} {x.question!r}" for x in (other, one))
            fail("name", f"one experiment named {one.name!r}", both)
    return found


def find_experiment(verb: str, name: str) -> Experiment:
    """An experiment by what is typed.

    Raises:
        ValueError: an unknown name; the nearest ones are offered.
    """
    found = experiments_by_verb(verb)
    check_choice("name", name, found)
    return found[name]
