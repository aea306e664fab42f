"""``python -m experiments.measurements NAME``: makes one record, or all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from experiments.core.folder import environment, write_json
from experiments.core.usage import wrong_usage
from experiments.measurements import (
    attention,
    continuity,
    convolutions,
    decoding,
    noise,
    permutation,
    retrieval,
    turnover,
    vocabulary,
)
from wavevit.checks import check_choice
from wavevit.files import check_output_folder

MEASUREMENTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "attention": attention.measure,
    "continuity": continuity.measure,
    "convolutions": convolutions.measure,
    "decoding": decoding.measure,
    "noise": noise.measure,
    "permutation": permutation.measure,
    "retrieval": retrieval.measure,
    "turnover": turnover.measure,
    "vocabulary": vocabulary.measure,
}
_RECORDS = Path(__file__).parents[1] / "records"


@dataclass
class Options:
    """Measure models as they are, for the claims that need no study of their own."""

    names: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(help=f"out of: {', '.join(MEASUREMENTS)}"),
    ] = ()
    """By default all."""
    runs: Path = Path("runs")
    """Where the folders of the studies are whose trained models are measured."""
    out: Path = _RECORDS
    """Folder of the records; each gets a subfolder by its name."""


def run(options: Options) -> None:
    """Measures what the options name and writes the records."""
    for name in options.names:
        check_choice("names", name, MEASUREMENTS)
    check_output_folder("out", options.out)
    for name in options.names or MEASUREMENTS:
        print(f"{name} …", flush=True)
        start = time.monotonic()
        record = MEASUREMENTS[name](options.runs)
        record["seconds"] = round(time.monotonic() - start)
        where = environment(torch.device("cpu"), torch.get_num_threads())
        path = options.out / name / "measurement.json"
        write_json(path, {"measurement": name, "environment": where, **record})
        print(f"→ {path}", flush=True)


def main() -> None:
    """The command line; complaints about arguments come without a traceback."""
    options = tyro.cli(
        Options, prog="python -m experiments.measurements", description=Options.__doc__
    )
    try:
        run(options)
    except ValueError as error:
        wrong_usage("experiments.measurements", error)


if __name__ == "__main__":
    main()
