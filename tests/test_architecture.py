"""The layer table of docs/architecture.md, enforced."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("wavevit/**/*.py"), *ROOT.glob("experiments/**/*.py")])


def layers() -> dict[str, int]:
    """Package to layer number, read off the docs."""
    table = {}
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        if match := re.match(r"\| L(\d+) \| (.+?) \|", line):
            table.update({name: int(match[1]) for name in re.findall(r"`([\w.]+)`", match[2])})
    return table


def layer_of(module: str, table: dict[str, int]) -> tuple[str, int] | None:
    """The package of the table that a module is in, the innermost one, and its layer."""
    found = [name for name in table if module == name or module.startswith(name + ".")]
    package = max(found, key=len, default="")
    return (package, table[package]) if package else None


@cache
def syntax(text: str) -> tuple[ast.AST, ...]:
    """Every node of a file's tree: several rules read the same files."""
    return tuple(ast.walk(ast.parse(text)))


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in syntax(path.read_text()):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def upward_imports(module: str, imported: set[str], table: dict[str, int]) -> list[str]:
    """What of `imported` the table forbids to `module`."""
    own = layer_of(module, table)
    if own is None:
        return []
    targets = [(name, layer_of(name, table)) for name in sorted(imported)]
    wrong = [name for name, target in targets if target and target[1] > own[1]]
    wrong += [name for name in imported if name == "wavevit"]  # the top imports from everywhere
    if own[0] == "wavevit.measure":
        wrong += [name for name, target in targets if target and target[0] == "wavevit.models"]
    return wrong


def test_the_table_names_every_package() -> None:
    table = layers()
    homeless = [m for m in map(module_name, SOURCES) if m != "wavevit" and not layer_of(m, table)]
    assert not homeless, f"docs/architecture.md has no layer for {homeless}"


def test_imports_go_downward() -> None:
    table = layers()
    wrong = {
        module: upward
        for path in SOURCES
        if (upward := upward_imports(module := module_name(path), imported_modules(path), table))
    }
    assert not wrong, f"imports from a higher layer: {wrong}"


def test_negative_control_upward_import_is_detected() -> None:
    """Negative control of the rule itself."""
    table = layers()
    assert upward_imports("wavevit.wavelets.dwt", {"wavevit.models.config"}, table)
    assert upward_imports("wavevit.measure.cost", {"wavevit.models"}, table)
    assert upward_imports("wavevit.data.scenes", {"experiments.run"}, table)
    assert upward_imports("experiments.core.table", {"experiments.claims.page"}, table)
    assert upward_imports("experiments.studies.smoke", {"experiments.__main__"}, table)


def runtime_imports(path: Path, modules: Collection[str]) -> set[str]:
    """Modules of ours that a file imports when it runs, at its top or inside a function."""
    nodes = syntax(path.read_text())
    for_types = {
        inner
        for node in nodes
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in syntax(path.read_text()):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & set(modules)) or {node.module}
    return found & set(modules)


WAVELETS = ("wavevit.wavelets._kernels", "wavevit.wavelets._engine", "wavevit.wavelets")
WAVELETS += ("wavevit.wavelets.compat",)


def room(module: str) -> int:
    """Place of a file of `wavevit.wavelets` in the order of its folders, bottom first."""
    names = sorted(WAVELETS, key=len, reverse=True)
    return WAVELETS.index(next(n for n in names if module == n or module.startswith(n + ".")))


def test_folders_of_wavelets_import_downward() -> None:
    modules = {module_name(path): path for path in SOURCES}
    wrong = [
        (module, other)
        for module, path in modules.items()
        if module.startswith("wavevit.wavelets")
        for other in runtime_imports(path, modules)
        if other.startswith("wavevit.wavelets.") and room(other) > room(module)
    ]
    assert not wrong, f"imports from a folder above: {wrong}"
    places = [room(f"{folder}.file") for folder in WAVELETS]
    assert places == [0, 1, 2, 3]  # negative control: the folders differ


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    graph = nx.DiGraph([(one, other) for one, others in imports.items() for other in others])
    return [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = {module_name(path): path for path in SOURCES}
    assert not circles({m: runtime_imports(path, modules) for m, path in modules.items()})


def test_one_run_is_followed_in_six_files() -> None:
    """The list of docs/architecture.md: each file is imported by one of those before it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    listed = re.findall(r"^\d\. `(experiments/\S+\.py)`", text, re.M)
    assert 1 < len(listed) <= 6
    modules = {module_name(path): path for path in SOURCES}
    names = [module_name(ROOT / path) for path in listed]
    assert set(names) <= set(modules)
    for place, following in enumerate(names[2:], 2):  # the command line finds the study by name
        imported = {m for one in names[:place] for m in runtime_imports(modules[one], modules)}
        assert following in imported, f"no file before {following} imports it"


def package_of(module: str) -> str:
    """The package of `experiments` that a module is in; its own files are the command line."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else parts[0]


def between_packages(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """By package of `experiments`, the other ones that its modules import."""
    found: dict[str, set[str]] = {}
    for module, others in imports.items():
        own = package_of(module)
        if module.startswith("experiments."):
            there = {package_of(other) for other in others if other.startswith("experiments.")}
            found.setdefault(own, set()).update(there - {own})
    return found


def test_no_packages_of_experiments_import_each_other_in_a_circle() -> None:
    modules = {module_name(path): path for path in SOURCES}
    packages = {m for m in modules if m.count(".") == 1 and m.startswith("experiments.")}
    # A package's own file belongs to it, although it has the name of a file of the command line.
    imports = {
        f"{m}.__init__" if (path.name == "__init__.py" and m in packages) else m: {
            f"{other}.__init__" if modules[other].name == "__init__.py" else other
            for other in runtime_imports(path, modules)
        }
        for m, path in modules.items()
    }
    found = between_packages(imports)
    assert {"experiments.core", "experiments.studies", "experiments.claims"} <= set(found)
    assert not circles(found)


def test_a_circle_of_packages_is_seen() -> None:
    """Negative control: no file of these two packages is in a circle, but the packages are."""
    imports = {
        "experiments.core.one": {"experiments.claims.two"},
        "experiments.claims.three": {"experiments.core.four"},
        "experiments.run": {"experiments.core.one"},
    }
    assert not circles(imports)
    assert circles(between_packages(imports)) == [["experiments.claims", "experiments.core"]]


def test_circular_import_is_detected(tmp_path: Path) -> None:
    """Negative control, with an import inside a function; one for types makes no circle."""
    (tmp_path / "a.py").write_text("from b import x\n")
    (tmp_path / "b.py").write_text("def f():\n    import c\n")
    (tmp_path / "c.py").write_text("from a import y\n")
    files = {path.stem: path for path in tmp_path.glob("*.py")}
    assert circles({m: runtime_imports(p, files) for m, p in files.items()}) == [["a", "b", "c"]]
    (tmp_path / "c.py").write_text("if TYPE_CHECKING:\n    from a import y\n")
    assert circles({m: runtime_imports(p, files) for m, p in files.items()}) == []
