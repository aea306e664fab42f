"""The reference has every public name, and what it says has the sections of the house style."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

API = Path(__file__).parents[2] / "docs" / "api"
MODULES = (
    "wavevit",
    "wavevit.wavelets",
    "wavevit.wavelets.compat",
    "wavevit.layers.tokenizers",
    "wavevit.layers.mixers",
    "wavevit.layers.downsample",
    "wavevit.layers.positions",
    "wavevit.layers.inject",
    "wavevit.layers.symmetry",
    "wavevit.alignment",
    "wavevit.models",
    "wavevit.measure",
    "wavevit.testing",
    "wavevit.testing.strategies",
    "wavevit.interop.timm",
    "wavevit.interop.hub",
    "wavevit.data",
    "wavevit.auditing",
    "wavevit.pictures",
)
PAGES = "\n".join(path.read_text() for path in sorted(API.glob("*.md")))
Public = tuple[str, str, Any]


def public() -> list[Public]:
    found = []
    for module in MODULES:
        package = importlib.import_module(module)
        found += [(module, name, getattr(package, name)) for name in package.__all__]
    return found


NAMES = public()
FUNCTIONS = [
    (module, name, inspect.unwrap(value))
    for module, name, value in NAMES
    if isinstance(inspect.unwrap(value), FunctionType)
]
CLASSES = [(module, name, value) for module, name, value in NAMES if inspect.isclass(value)]
DATA = [
    (module, name, value)
    for module, name, value in NAMES
    if not inspect.isclass(value) and not isinstance(inspect.unwrap(value), FunctionType)
]


def label(value: Any) -> str:
    return value if isinstance(value, str) else ""


def sections(value: Any) -> set[str]:
    return set(re.findall(r"^\s*(\w+):\n", inspect.getdoc(value) or "", re.M))


def test_every_package_is_here() -> None:
    """A new package of the library is either public, and in the list above, or named here."""
    # Not public: the command line, the wording of errors, parts that only ours use.
    private = {"wavevit.cli", "wavevit.checks", "wavevit.interop", "wavevit.layers"}
    root = API.parents[1] / "wavevit"
    packages = {f"wavevit.{path.parent.name}" for path in root.glob("*/__init__.py")}
    packages |= {f"wavevit.{path.stem}" for path in root.glob("[a-z]*.py")}
    assert packages - private <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_page_documents_the_module(module: str) -> None:
    (options,) = re.findall(rf"automodule:: {re.escape(module)}\n((?:   :.*\n)*)", PAGES)
    assert ":members:" in options
    package = importlib.import_module(module)
    own = {getattr(getattr(package, name), "__module__", module) for name in package.__all__}
    assert own <= {module} or ":imported-members:" in options


@pytest.mark.parametrize(("module", "name", "value"), DATA, ids=label)
def test_a_page_describes_the_constant(module: str, name: str, value: Any) -> None:
    """Autodoc sees no docstring of a constant that a package imports: pages describe it."""
    assert re.search(rf"py:data:: {re.escape(module)}\.{name}\n\n   \w", PAGES), (
        f"docs/api has no `.. py:data:: {module}.{name}`"
    )


@pytest.mark.parametrize(("module", "name", "value"), FUNCTIONS + CLASSES, ids=label)
def test_it_has_a_docstring_of_its_own(module: str, name: str, value: Any) -> None:
    own = value.__doc__ or ""
    assert own.split("\n")[0].strip(), f"{module}.{name}"
    assert not own.startswith(f"{name}("), "a dataclass's generated docstring says nothing"


@pytest.mark.parametrize(("module", "name", "value"), FUNCTIONS, ids=label)
def test_a_function_says_what_it_takes_and_refuses(module: str, name: str, value: Any) -> None:
    found, text = sections(value), inspect.getdoc(value) or ""
    parameters = list(inspect.signature(value).parameters)
    strategy = module == "wavevit.testing.strategies"  # drawn from: Hypothesis wraps some
    if len(parameters) > 1 and not strategy:
        entries = text.split("Args:")[-1]
        missing = [p for p in parameters if not re.search(rf"^\s+\**{p}[,:]|`{p}`", entries, re.M)]
        assert not missing, f"{module}.{name} does not describe {missing}"
    checks = r"^    +(?:\w+ = )?(?:fail|check_\w+)\("
    if not strategy and re.search(checks, inspect.getsource(value), re.M):
        assert "Raises" in found, f"{module}.{name} checks its arguments"


@pytest.mark.parametrize(("module", "name", "value"), CLASSES, ids=label)
def test_a_class_says_what_it_holds(module: str, name: str, value: Any) -> None:
    if dataclasses.is_dataclass(value):
        fields = [f.name for f in dataclasses.fields(value) if f.init and f.name[0] != "_"]
        text, source = inspect.getdoc(value) or "", inspect.getsource(value)
        missing = [
            name
            for name in fields
            if not re.search(rf"^\s+(?:\w+, )*{name}[,:]", text.split("Attributes:")[-1], re.M)
            and not re.search(rf'^    {name}: .*\n    """', source, re.M)
        ]
        assert not missing, f"{module}.{name} does not describe {missing}"


def test_the_rules_see_what_is_missing() -> None:
    """Negative control."""

    def undocumented(image: int, size: int) -> None:
        """Does something."""

    with pytest.raises(AssertionError):
        test_a_function_says_what_it_takes_and_refuses("here", "undocumented", undocumented)
