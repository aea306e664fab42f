"""The run key: what changes it, and what does not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from experiments.core.code import ROOT, code_digest, digest_of, import_closure
from wavevit import plugins
from wavevit.plugins import import_files

USED = (
    "wavevit.layers.blocks",
    "wavevit.layers.tokenizers.dwt",
    "wavevit.wavelets._kernels.haar_cpu_code",  # imported by its name in a string
    "wavevit.measure.continuity",
    "wavevit.data.scenes",
    "experiments.core.training",
    "experiments.core.segmentation.measures",
)
UNUSED = (
    "wavevit.auditing.report",
    "wavevit.cli",
    "wavevit.interop.hub",
    "experiments.core.folder",
    "experiments.claims.page",
    "experiments.studies.backbones",
)


def digest(text: str) -> str:
    return digest_of([ast.parse(text)])


def test_the_key_holds_what_a_run_uses_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_FILES", {})  # files of users that other tests have loaded
    closure = import_closure()
    assert set(USED) <= set(closure)
    assert not set(UNUSED) & set(closure)
    for module in UNUSED:
        assert ROOT.joinpath(*module.split(".")).with_suffix(".py").exists(), module
    assert digest_of(closure[module] for module in sorted(closure)) == code_digest()


@pytest.mark.parametrize("module", USED)
def test_comments_docstrings_and_layout_keep_the_key(module: str) -> None:
    text = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()
    title = text.partition('"""')[2].partition('"""')[0]
    assert digest(text.replace(title, "Another title.", 1) + "\n\n\n# a comment\n") == digest(text)
    assert digest(text + "\nADDED = 1\n") != digest(text)  # negative control


def test_imports_are_followed_from_a_changed_file(tmp_path: Path) -> None:
    """A module that nothing imports does not count, one behind two imports does."""
    package = tmp_path / "p" / "q"
    package.mkdir(parents=True)
    for name, text in {
        "root": "from p.q import one\n",
        "one": "def f():\n    import p.q.two\n",
        "two": "",
        "unused": "",
    }.items():
        (package / f"{name}.py").write_text(text)
    assert set(import_closure(["p.q.root"], tmp_path)) == {"p.q.root", "p.q.one", "p.q.two"}
    (package / "two.py").write_text("import importlib\n")  # which may import any of its package
    assert "p.q.unused" in import_closure(["p.q.root"], tmp_path)


def test_users_files_are_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_FILES", {})
    before, file = code_digest(), tmp_path / "layer_of_a_user.py"
    file.write_text("X = 1\n")
    import_files([file])
    after = code_digest()
    assert after.startswith(before + "-")
    file.write_text("X = 2\n")
    assert code_digest() != after
