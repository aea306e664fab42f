"""The reference has every public name, and what it says has the sections of the house style."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Any

from wavevit.checks import check_at_least

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
    "wavevit.grafting",
    "wavevit.models",
    "wavevit.tasks",
    "wavevit.measure",
    "wavevit.measure.certify",
    "wavevit.testing",
    "wavevit.testing.strategies",
    "wavevit.interop.timm",
    "wavevit.interop.hub",
    "wavevit.interop.vision_tower",
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


def sections(value: Any) -> set[str]:
    return set(re.findall(r"^\s*(\w+):\n", inspect.getdoc(value) or "", re.M))


def test_every_package_is_here() -> None:
    """A new package of the library is either public, and in the list above, or named here."""
    # Not public: the command line, the wording of errors, files, imports, parts that only ours use.
    private = {"wavevit.cli", "wavevit.checks", "wavevit.files", "wavevit.lazy"}
    private |= {"wavevit.deprecated", "wavevit.interop", "wavevit.layers", "wavevit.plugins"}
    private |= {"wavevit.progress", "wavevit.command_line"}
    root = API.parents[1] / "wavevit"
    packages = {f"wavevit.{path.parent.name}" for path in root.glob("*/__init__.py")}
    packages |= {f"wavevit.{path.stem}" for path in root.glob("[a-z]*.py")}
    assert packages - private <= set(MODULES)


def test_every_module_has_a_page() -> None:
    for module in MODULES:
        found = re.findall(rf"automodule:: {re.escape(module)}\n((?:   :.*\n)*)", PAGES)
        assert len(found) == 1, module
        assert ":members:" in found[0], module
        package = importlib.import_module(module)
        own = {getattr(getattr(package, name), "__module__", module) for name in package.__all__}
        assert own <= {module} or ":imported-members:" in found[0], module


def test_every_constant_is_described_on_a_page() -> None:
    """Autodoc sees no docstring of a constant that a package imports: pages describe it."""
    missing = [
        f"{module}.{name}"
        for module, name, _ in DATA
        if not re.search(rf"py:data:: {re.escape(module)}\.{name}\n\n   \w", PAGES)
    ]
    assert not missing, f"docs/api has no `.. py:data::` of {missing}"


def test_every_function_and_class_has_a_docstring() -> None:
    """A dataclass without one has a generated signature in its place."""
    missing = [
        f"{module}.{name}"
        for module, name, value in FUNCTIONS + CLASSES
        if not (text := (value.__doc__ or "").split("\n")[0].strip()) or text.startswith(f"{name}(")
    ]
    assert not missing


def function_complaints(module: str, name: str, value: Any) -> list[str]:
    """What a function's docstring leaves out: arguments, or what it refuses."""
    found, text = sections(value), inspect.getdoc(value) or ""
    complaints = []
    parameters = list(inspect.signature(value).parameters)
    strategy = module == "wavevit.testing.strategies"  # drawn from: Hypothesis wraps some
    if len(parameters) > 1 and not strategy:
        entries = text.split("Args:")[-1]
        missing = [p for p in parameters if not re.search(rf"^\s+\**{p}[,:]|`{p}`", entries, re.M)]
        complaints += [f"{module}.{name} does not describe {p}" for p in missing]
    checks = r"^    +(?:\w+ = )?(?:fail|check_\w+)\("
    checked = not strategy and re.search(checks, inspect.getsource(value), re.M)
    if checked and "Raises" not in found:
        complaints.append(f"{module}.{name} checks its arguments and has no Raises")
    return complaints


def described(text: str) -> list[str]:
    """The arguments that a section *Args* describes, in its order."""
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", text + "\n", re.M)
    entries = re.findall(r"^    (\S[^:]*):", section[1] if section else "", re.M)
    return [name.strip(" *`") for entry in entries for name in entry.split(",")]


def order_complaints(module: str, name: str, value: Any) -> list[str]:
    """Arguments that a docstring describes in another order than the signature, or that are none
    of its arguments."""
    found = described(inspect.getdoc(value) or "")
    parameters = list(inspect.signature(value).parameters)
    expected = [parameter for parameter in parameters if parameter in found]
    return [] if found == expected else [f"{module}.{name} describes {found}, takes {parameters}"]


def class_complaints(module: str, name: str, value: Any) -> list[str]:
    """What a class's docstring leaves out: arguments that no base class describes, or what it
    refuses."""
    own = vars(value)
    made = [own.get("__post_init__")] if dataclasses.is_dataclass(value) else [own.get("__init__")]
    checked = [inspect.unwrap(one) for one in made if isinstance(one, FunctionType)]
    text = "\n".join(inspect.cleandoc(cls.__doc__ or "") for cls in value.__mro__[:-1])
    complaints = []
    if checked and not dataclasses.is_dataclass(value):
        parameters = list(inspect.signature(checked[0]).parameters)[1:]
        entries = r"^ +(?:\*{{0,2}}\w+, )*\*{{0,2}}{}[,:]| and the others: see "
        missing = [p for p in parameters if not re.search(entries.format(p), text, re.M)]
        complaints += [f"{module}.{name} does not describe {p}" for p in missing]
    call = r"^    +(?:[\w. ]+ = |if )?.*\b(?:fail|check_\w+)\("
    checks = any(re.search(call, inspect.getsource(one), re.M) for one in checked)
    if checks and "Raises" not in sections(value):
        complaints.append(f"{module}.{name} checks its arguments and has no Raises")
    return complaints


def test_every_function_describes_arguments_and_errors() -> None:
    assert not [words for one in FUNCTIONS for words in function_complaints(*one)]


def test_arguments_are_described_in_their_order() -> None:
    drawn = "wavevit.testing.strategies"  # Hypothesis hands the first argument of some over
    plain = [one for one in FUNCTIONS if one[0] != drawn]
    assert not [words for one in plain for words in order_complaints(*one)]


def test_every_class_describes_arguments_and_errors() -> None:
    tuples = [one for one in CLASSES if not issubclass(one[2], tuple)]
    assert not [words for one in tuples for words in class_complaints(*one)]


def test_every_test_that_a_docstring_names_exists() -> None:
    root = API.parents[1]
    known = {path.name for path in (root / "tests").rglob("test_*.py")}
    missing = []
    for path in sorted((root / "wavevit").rglob("*.py")):
        text = path.read_text()
        missing += [
            f"{path}: {name}"
            for name in re.findall(r"\btests/[\w/]+\.py", text)
            if not (root / name).is_file()
        ]
        missing += [
            f"{path}: {name}" for name in re.findall(r"\btest_\w+\.py", text) if name not in known
        ]
    assert not missing


def test_every_dataclass_describes_its_fields() -> None:
    complaints = []
    for module, name, value in CLASSES:
        if not dataclasses.is_dataclass(value):
            continue
        fields = [f.name for f in dataclasses.fields(value) if f.init and f.name[0] != "_"]
        text, source = inspect.getdoc(value) or "", inspect.getsource(value)
        complaints += [
            f"{module}.{name} does not describe {field}"
            for field in fields
            if not re.search(rf"^\s+(?:\w+, )*{field}[,:]", text.split("Attributes:")[-1], re.M)
            and not re.search(rf'^    {field}: .*\n    """', source, re.M)
        ]
    assert not complaints


def test_negative_control_undocumented_arguments_are_detected() -> None:
    """Negative control."""

    def undocumented(image: int, size: int) -> None:
        """Does something."""

    assert function_complaints("here", "undocumented", undocumented) == [
        "here.undocumented does not describe image",
        "here.undocumented does not describe size",
    ]

    def turned(image: int, size: int) -> None:
        """Does something.

        Args:
            size: of it.
            image: it.
        """

    assert order_complaints("here", "turned", turned) == [
        "here.turned describes ['size', 'image'], takes ['image', 'size']"
    ]

    class Silent:
        """Holds something."""

        def __init__(self, size: int) -> None:
            self.size = check_at_least("size", size, 1)

    assert class_complaints("here", "Silent", Silent) == [
        "here.Silent does not describe size",
        "here.Silent checks its arguments and has no Raises",
    ]
