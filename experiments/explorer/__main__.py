"""Writes the Shift Explorer's assets from trained runs: ``python -m experiments explorer``.

The runs are those of ``python -m experiments run crop_shift`` and ``… backbones``; seed 0 and the
variants that `experiments.explorer.choice` names are enough. The page is ``docs/explorer.md``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from experiments.core.folder import StudyFolder
from experiments.core.usage import old_command, wrong_usage
from experiments.explorer.assets import make_model_asset, make_photograph_asset, write_script
from experiments.explorer.choice import MODELS, PHOTOGRAPHS, SEED
from wavevit.files import check_output_folder

__all__ = ["Options", "main", "write_assets"]

ASSETS = Path(__file__).parents[2] / "docs" / "_static" / "explorer"


@dataclass
class Options:
    """Turn trained runs into what the page of the Shift Explorer loads."""

    runs: Path = Path("runs")
    """Folder of the studies' folders."""
    out: Path = ASSETS


def write_assets(options: Options) -> None:
    """Writes a script a model and one a photograph, and says how large they are."""
    check_output_folder("out", options.out)
    choice_of_all = {
        "models": [[choice.name, choice.title] for choice in MODELS],
        "photographs": [place.photograph for place in PHOTOGRAPHS],
    }
    write_script(options.out / "choice.js", "shiftExplorer.choose", choice_of_all)
    for choice in MODELS:
        run = StudyFolder(options.runs / choice.study, choice.study).run(choice.variant, SEED)
        asset = make_model_asset(choice, run)
        path = options.out / "models" / f"{choice.name}.js"
        write_script(path, "shiftExplorer.addModel", asset)
        print(
            f"{choice.name}: {path.stat().st_size / 1e3:.0f} kB, top-1 {asset['top1']:.1f} %, "
            f"unit {asset['unit']:.3f}"
        )
    for place in PHOTOGRAPHS:
        path = options.out / "photographs" / f"{place.photograph}.js"
        write_script(path, "shiftExplorer.addPhotograph", make_photograph_asset(place))
        print(f"{place.photograph}: {path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    """The command line; complaints about arguments come without a traceback."""
    torch.set_grad_enabled(False)
    options = tyro.cli(Options, prog="python -m experiments explorer", description=Options.__doc__)
    try:
        write_assets(options)
    except ValueError as error:
        wrong_usage("experiments explorer", error)


if __name__ == "__main__":
    old_command(["explorer", *sys.argv[1:]])
