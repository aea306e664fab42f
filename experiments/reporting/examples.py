"""Runs the examples of the docs and keeps what they print beside them.

    python -m experiments.reporting.examples    # docs/examples/NAME.txt anew, about a minute

A page shows the script and that file, so what a reader sees is what the script printed. Numbers may
differ in their last digits between machines; `same` says what counts as the same output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.core.code import ROOT
from wavevit.progress import in_steps

FOLDER = ROOT / "docs" / "examples"
EXAMPLES = tuple(sorted(path.stem for path in FOLDER.glob("*.py")))

# These print times: their words are compared and not their numbers.
UNSTABLE = frozenset({"train_a_study"})

# A script that imports timm is started behind this, which makes timm importable beside a
# torchvision that was built for another torch. With a torchvision that works it does nothing.
_BEFORE = "from wavevit.interop.timm_import import import_timm; import_timm()\n"
_START = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def output_of(name: str) -> Path:
    """Where the output of an example is kept."""
    return FOLDER / f"{name}.txt"


def run(name: str, process: Callable[..., Any] = subprocess.run) -> str:
    """What an example prints, run in the repository's root in a process of its own.

    Args:
        name: of the example.
        process: runs the command, with the arguments of `subprocess.run`.

    Raises:
        RuntimeError: it failed; the message is its own.
    """
    script = FOLDER / f"{name}.py"
    start = (_BEFORE if re.search("^import timm", script.read_text(), re.M) else "") + _START
    done = process(
        [sys.executable, "-c", start, str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr[-2000:]}")
    return re.sub(r"/\S*/tmp\w+", "/tmp/…", done.stdout)


def same(name: str, printed: str, kept: str) -> bool:
    """Whether two outputs agree: in every word, and in numbers to 5 % or 0.02."""
    if " ".join(_NUMBER.sub("#", printed).split()) != " ".join(_NUMBER.sub("#", kept).split()):
        return False
    if name in UNSTABLE:
        return True
    pairs = zip(_NUMBER.findall(printed), _NUMBER.findall(kept), strict=True)
    return all(abs(float(a) - float(b)) <= 0.02 + 0.05 * abs(float(b)) for a, b in pairs)


def main() -> None:
    """Writes every output."""
    for name in in_steps(EXAMPLES, bar=False):
        output_of(name).write_text(run(name))
        print(f"wrote {output_of(name)}")


if __name__ == "__main__":
    main()
