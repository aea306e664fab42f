"""``FILE.py:factory``: loaded as Python loads it, and nothing of it stays behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import wavevit
from tests.few_samples import FEW
from wavevit.auditing.targets import make_target

NETWORK = """
from __future__ import annotations
import argparse, copy, pickle
from dataclasses import dataclass
import layers
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--classes", type=int, default=layers.CLASSES)
CLASSES = parser.parse_args().classes

@dataclass
class Config:
    sizes: list[int] | None = None

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.settings = Config([CLASSES])
        self.fc = torch.nn.Linear(192, CLASSES)
    def forward(self, x):
        import lazily
        return self.fc(x.flatten(1)) * lazily.SCALE
    @classmethod
    def make(cls):
        return cls()
    def method(self):
        return self

class zoo:
    class small:
        make = staticmethod(Net)

def build(depth=2):
    from late import HIDDEN
    return copy.deepcopy(pickle.loads(pickle.dumps(Net())))

def relative():
    from .layers import CLASSES
    from . import late
    return Net()

def needs(width, *, depth=2):
    return Net()

def ends():
    import sys
    sys.exit(3)

if __name__ == "__main__":
    raise RuntimeError("run as a script")
"""


def folder(path: Path, classes: int) -> Path:
    path.mkdir()
    (path / "network.py").write_text(NETWORK)
    (path / "layers.py").write_text(f"CLASSES = {classes}")
    (path / "lazily.py").write_text("SCALE = 2.0")
    (path / "late.py").write_text("HIDDEN = 1")
    return path / "network.py"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "argv", ["wavevit", "audit", "--size", "8"])
    return folder(tmp_path / "one", 4)


@pytest.mark.parametrize("factory", ["build", "Net", "Net.make", "zoo.small.make", "relative"])
def test_neighbours_dataclasses_and_arguments_work(file: Path, factory: str) -> None:
    before = (sys.path[:], sys.argv[:], set(sys.modules))
    found = make_target(f"{file}:{factory}", size=8)
    with torch.no_grad():
        assert found.logits(torch.rand(2, 3, 8, 8)).shape == (2, 4)  # imports while it runs
    assert (sys.path, sys.argv) == before[:2]
    assert not {n for n in set(sys.modules) - before[2] if n in ("layers", "lazily", "late")}


def test_two_files_of_one_name_get_their_own_neighbours(file: Path, tmp_path: Path) -> None:
    other = folder(tmp_path / "two", 7)
    pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    arguments = {"images": pictures, "size": 8, "samples": FEW}
    report = wavevit.audit(f"{file}:build", against=[f"{other}:build"], **arguments)
    outputs = [model["output"] for model in report.record["models"]]
    assert ["(4,)" in outputs[0], "(7,)" in outputs[1]] == [True, True]
    assert not [n for m in report.models for n, s in report.sections(m).items() if "error" in s]
    assert len(report.record["timings"]["time"]) == 2


def test_file_imports_its_own_neighbour_not_the_callers_module(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "layers.py").write_text("CLASSES = 9")
    monkeypatch.syspath_prepend(elsewhere)
    import layers

    try:
        found = make_target(f"{file}:build", size=8)
        assert "(4,)" in found.facts["output"]
        assert sys.modules["layers"] is layers
    finally:
        del sys.modules["layers"]


def test_a_file_of_a_package_imports_from_it(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "nets" / "deep"
    inner.mkdir(parents=True)
    for place in (inner.parent, inner):
        (place / "__init__.py").touch()
    (inner.parent / "common.py").write_text("WIDTH = 5")
    (inner / "beside.py").write_text("MORE = 1")
    (inner / "net.py").write_text(
        "from ..common import WIDTH\nfrom . import beside\nfrom nets.common import WIDTH as SAME\n"
        "import torch\ndef build():\n    sizes = (192, WIDTH + beside.MORE)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(*sizes))\n"
    )
    found = make_target(f"{inner / 'net.py'}:build", size=8)
    assert "(6,)" in found.facts["output"]
    assert not [name for name in sys.modules if name.startswith("nets")]


def test_a_file_below_the_current_folder_imports_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "common.py").write_text("WIDTH = 5")
    (tmp_path / "settings.py").write_text("MORE = 1")
    (tmp_path / "nets" / "net.py").write_text(
        "from nets.common import WIDTH\nfrom settings import MORE\nimport torch\n"
        "def build():\n    sizes = (192, WIDTH + MORE)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(*sizes))\n"
    )
    monkeypatch.chdir(tmp_path)
    path = sys.path[:]
    assert "(6,)" in make_target("nets/net.py:build", size=8).facts["output"]
    assert sys.path == path
    assert not {"settings", "nets", "nets.common"} & set(sys.modules)
    monkeypatch.chdir(tmp_path / "nets")
    with pytest.raises(ValueError, match="No module named 'nets'"):
        make_target("net.py:build", size=8)


@pytest.mark.parametrize(
    ("source", "factory", "message"),
    [
        (None, "needs", r"network.py:needs to need no arguments, got needs\(width, \*, depth=2\)"),
        (None, "Net.method", r"to need no arguments, got Net.method\(self\)"),
        (None, "ends", r"network.py:ends to build a model, got SystemExit: 3"),
        (None, "biuld", "AttributeError: .* has no 'biuld' .nearest: build"),
        (None, "zoo.large", "AttributeError: .* has no 'zoo.large'"),
        (None, "Config", r"expected a module, a callable, .*got Config"),
        ("def f(:", "f", r"SyntaxError: invalid syntax \(broken.py, line 1\)"),
        ("import sys; sys.exit('enough')", "f", r"SystemExit: enough \(it ends Python"),
        ("import nowhere_at_all", "f", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('x')\np.parse_args()",
            "f",
            r"broken.py:f to build a model, got SystemExit: 2 \(it ends Python",
        ),
    ],
)
def test_error_in_a_file_names_its_line(
    source: str | None, factory: str, message: str, file: Path
) -> None:
    if source is not None:
        file = file.with_name("broken.py")
        file.write_text(source)
    with pytest.raises(ValueError, match=r"^model: .*" + message):
        make_target(f"{file}:{factory}", size=8)
    assert not [name for name in sys.modules if name.startswith("_wavevit_audited")]
