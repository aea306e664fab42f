"""The wheel works with the core dependencies alone, and each missing extra names itself."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CORE = {"torch", "numpy", "pywavelets", "safetensors"}


def needed(requirements: list[str] | None) -> list[str]:
    """Names of the distributions that are required here without any extra."""
    parsed = [Requirement(one) for one in requirements or []]
    return [one.name for one in parsed if not one.marker or one.marker.evaluate({"extra": ""})]


def closure(names: list[str]) -> list[Distribution]:
    """The installed distributions of these names, and all that they need."""
    found: dict[str, Distribution] = {}
    left = list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name not in found:
            found[name] = distribution(name)
            left += needed(found[name].requires)
    return list(found.values())


def link(found: Distribution, site: Path) -> None:
    """Links what a distribution installed into another site-packages."""
    for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
        target = site / top
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(top))))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment: the wheel, and links to the core dependencies installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("wavevit-*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = environment.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("dist-info/METADATA")]
        text = archive.read(metadata).decode()
    required = needed(re.findall(r"^Requires-Dist: (.+)$", text, re.M))
    assert {name.lower() for name in required} == CORE
    for found in closure(required):
        link(found, site)
    return python


MISSING = """
import importlib.util, torch, wavevit
from wavevit.wavelets import dwt2, wavedec2

for name in ("matplotlib", "tqdm", "tyro", "scipy", "skimage", "PIL", "kornia", "timm", "numba"):
    assert importlib.util.find_spec(name) is None, name
assert "environment" in wavevit.__file__, wavevit.__file__
x = torch.ones(1, 1, 8, 8)
assert dwt2(x, "db2").isfinite().all()
model = wavevit.create_model("test_dtcwt_vit")
for extra, call in {
    "audit": (
        lambda: wavevit.audit(model),
        lambda: wavevit.pictures.draw_pyramid(wavedec2(x, level=1), "title"),
        lambda: wavevit.measure.intervals.mean_interval(0.0, 1.0, 9),
    ),
    "data": (
        lambda: wavevit.data.load_photograph("astronaut"),
        lambda: wavevit.data.read_picture(wavevit.__file__),
    ),
    "timm": (lambda: wavevit.interop.timm.register(),),
    "hub": (lambda: wavevit.interop.hub.from_pretrained("owner/name"),),
}.items():
    for index, one in enumerate(call):
        try:
            one()
        except ImportError as error:
            assert f"pip install 'wavevit[{extra}]'" in str(error), (extra, index, str(error))
        else:
            raise AssertionError((extra, index))
print("named")
"""


def test_the_wheel_works_and_names_what_is_missing(clean: Path) -> None:
    """One process for both, because importing torch takes most of the time."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    command = [str(clean), "-I", "-c", f"{code}\n{MISSING}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=clean.parent)
    assert done.returncode == 0, done.stderr
    numbers = [float(n) for n in re.findall(r"tensor\(([\d.e+-]+)", done.stdout)]
    assert len(numbers) == 2
    assert max(numbers) < 1e-5
    assert done.stdout.endswith("named\n")


def test_the_command_line_names_its_extra(clean: Path) -> None:
    done = subprocess.run([clean.parent / "wavevit", "models"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install 'wavevit[audit]'\n"), done.stderr
