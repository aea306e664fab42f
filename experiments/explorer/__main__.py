"""Store trained runs for the Shift Explorer: ``python -m experiments explorer``.

The runs are those of ``python -m experiments run crop_shift`` and ``… backbones``; seed 0 and the
variants that `experiments.explorer.choice` names are enough. ``make docs`` makes the page's scripts
from the file that this writes. The page is ``docs/explorer.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.core.folder import StudyFolder
from experiments.core.usage import old_command
from experiments.explorer.assets import trained
from experiments.explorer.choice import MODELS, SEED
from experiments.explorer.store import STORE, write_models
from wavevit.command_line import read_options
from wavevit.files import check_output_file
from wavevit.progress import in_steps


@dataclass
class Options:
    """Store trained runs in the one file that the page of the Shift Explorer is built from."""

    runs: Path = Path("runs")
    """Folder of the studies' folders."""
    out: Path = STORE
    """The file, created or replaced."""


def store_models(options: Options) -> None:
    """Writes the file, and prints what it holds."""
    check_output_file("out", options.out, make_folder=True)
    models = {}
    for choice in in_steps(MODELS, lambda choice: choice.name, bar=False):
        run = StudyFolder(options.runs / choice.study, choice.study).run(choice.variant, SEED)
        models[choice.name] = trained(choice, run)
        facts = models[choice.name][1]
        print(f"{choice.name}: top-1 {facts['top1']:.1f} %, unit {facts['unit']:.3f}")
    write_models(options.out, models)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


def main(words: Sequence[str]) -> None:
    """The command line, with what is typed behind ``explorer``."""
    program = "python -m experiments explorer"
    options = read_options(Options, prog=program, description=Options.__doc__, arguments=words)
    with torch.no_grad():
        store_models(options)


if __name__ == "__main__":
    old_command(["explorer", *sys.argv[1:]])
