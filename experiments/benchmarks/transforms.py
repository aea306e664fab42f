"""Times Haar beside other libraries: ``python -m experiments bench transforms``.

`experiments.benchmarks.libraries` says who the contenders are, `experiments.benchmarks.alone` how
they are timed: all in turn, each in a process of its own; then again in fresh processes that meet
the shapes in another order. Before anything is timed, every contender's coefficients must have the
image's energy.
Figures and what they decided: docs/transforms-speed.md; record: experiments/records/transforms/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from experiments.benchmarks.alone import TimingOptions, check_threads, tell_cell
from experiments.benchmarks.interleaved import OURS, Shape
from experiments.benchmarks.libraries import Case, comparison, packages
from experiments.core.benchmark import Benchmark
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from wavevit.checks import check_at_least

SHAPES: tuple[Shape, ...] = (
    (32, 3, 224, 224),
    (32, 64, 56, 56),
    (8, 256, 28, 28),
    (1, 3, 2048, 2048),
)
PASSES = {"forward": "forward", "forward + backward": "forward+backward"}


@dataclass
class Options(TimingOptions):
    """Time one and three levels of Haar, forward and with backward, against other libraries."""

    levels: tuple[int, ...] = (1, 3)
    """Numbers of levels."""


def benchmark(options: Options, shapes: Sequence[Shape] | None = None) -> dict[str, Any]:
    """Times everything that the options name.

    Returns:
        The record: ``environment`` and ``cells``, one for each shape, number of levels, pass and
        number of threads, with milliseconds and multiples of clone by contender.

    Raises:
        ValueError: no thread, no level, or a contender that fails or whose coefficients are wrong.
    """
    check_threads(options)
    for level in options.levels:
        check_at_least("levels", level, 1)
    processes, rounds = (1, 3) if options.quick else (3, 5)
    cells: list[dict[str, Any]] = []
    for level in options.levels:
        cases = [Case("decimated", "haar", "periodization", level, s) for s in shapes or SHAPES]
        for threads in options.threads:
            for case, cell in comparison().time(
                cases, threads, rounds, processes=processes, tell=tell_cell
            ):
                cells.append({"shape": list(case.shape), "levels": level, **cell})
    return {
        "environment": packages(max(options.threads)),
        "processes": processes,
        "rounds": rounds,
        "cells": cells,
    }


def render(record: dict[str, Any]) -> str:
    """A table for each number of levels, one thread: clones, and times the better library."""
    parts: list[str] = []
    columns = [f"{how}{what}" for how in ("", "compiled ") for what in PASSES]
    head = ["shape", *(title for column in columns for title in (column, "faster"))]
    for level in dict.fromkeys(cell["levels"] for cell in record["cells"]):
        cells = {
            (*cell["shape"], cell["pass"]): cell
            for cell in record["cells"]
            if (cell["levels"], cell["threads"]) == (level, 1)
        }
        rows = []
        for shape in dict.fromkeys(key[:-1] for key in cells):
            row = [f"({','.join(map(str, shape))})"]
            for name, what in product(OURS, PASSES):
                row += _judged(cells[(*shape, PASSES[what])], name, what, level)
            rows.append(row)
        parts += ["One level:" if level == 1 else f"{level} levels:", Table(head, rows).markdown()]
    return "\n\n".join(parts)


def _judged(cell: dict[str, Any], name: str, what: str, level: int) -> list[str]:
    """Clones and times faster; bold where one misses its target."""
    clones = cell["multiple_of_clone"][name]
    slow = level == 1 and what == "forward" and clones > 2.0
    first = f"**{clones:.2f}**" if slow else f"{clones:.2f}"
    if "times_faster_than_best_library" not in cell:
        return [first, "–"]
    faster = cell["times_faster_than_best_library"][name]
    least = 5.0 if name == OURS[0] or what == "forward" else 4.5
    return [first, f"**{faster:.1f}**" if faster < least else f"{faster:.1f}"]


BENCHMARK = Benchmark(
    name="transforms",
    question="How much slower than a copy of the image is a Haar transform, here and elsewhere?",
    measure=lambda options, save: benchmark(options),
    records={"transforms/cpu.json": ""},
    shown=lambda record: (View(DOCS / "transforms-speed.md", render, "haar"),),
    command_line=Options,
    minutes={"transforms/cpu.json": "22"},
)


if __name__ == "__main__":
    BENCHMARK.run_old_command(printed=True)
