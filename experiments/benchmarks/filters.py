"""Times everything but decimated Haar: ``python -m experiments bench filters``.

Question: are longer filters, undecimated Haar and the dual tree faster here than in the better
library, forward and backward? `experiments.benchmarks.libraries` says who the contenders are,
`experiments.benchmarks.alone` how they are timed: all in turn, each in a process of its own. Before
that, every contender's coefficients must be ours. More than one level, and more than one thread,
are timed separately, not together.
Figures: docs/transforms-speed.md; record: experiments/records/transforms/filters.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from experiments.benchmarks.interleaved import OURS, Shape
from experiments.benchmarks.libraries import Case, comparison, packages
from experiments.core.benchmark import Benchmark, BenchmarkOptions
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from wavevit.checks import check_at_least
from wavevit.wavelets import dwt_max_level

__all__ = ["CASES", "Options", "benchmark", "render"]

_BUDGET = 1.0  # seconds of a cell after which no new round begins, once there are three
_SHAPES: tuple[Shape, ...] = (
    (32, 3, 224, 224),
    (32, 16, 112, 112),
    (32, 64, 56, 56),
    (1, 3, 1024, 1024),
)
_FEWER = tuple(shape for shape in _SHAPES if shape[1] != 16)  # the whole in ten minutes
CASES: tuple[Case, ...] = (
    *(
        Case("decimated", wavelet, mode, level, shape)
        for wavelet, taps in (("db2", 4), ("db4", 8), ("sym8", 16), ("bior4.4", 10))
        for mode, levels in (("periodization", (1, 3)), ("symmetric", (1,)))
        for level in levels
        for shape in _FEWER
        if level <= dwt_max_level(*shape[2:], taps)  # deeper, pytorch-wavelets errs by 0.001
    ),
    *(Case("undecimated", "haar", "periodic", level, s) for level in (1, 2) for s in _FEWER),
    *(Case("dual tree", "near_sym_a", "symmetric", level, s) for level in (1, 3) for s in _SHAPES),
)


@dataclass
class Options(BenchmarkOptions):
    """Time longer filters, undecimated Haar and the dual tree against other libraries."""

    quick: bool = False
    """Three rounds in place of up to eleven: to see that it runs, not to quote."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads; after the first, one level only."""


def benchmark(options: Options, cases: Sequence[Case] = CASES) -> dict[str, Any]:
    """Times every case, forward and with backward.

    Returns:
        The record: ``environment`` and ``cells``, each a case and what `summary` says of it.

    Raises:
        ValueError: no thread, or a contender that fails or whose coefficients are not ours.
    """
    for threads in options.threads:
        check_at_least("threads", threads, 1)
    rounds, cells = 3 if options.quick else 11, []
    for threads in options.threads:
        chosen = [case for case in cases if threads == options.threads[0] or case.level == 1]
        cells += [
            {**asdict(case), "shape": list(case.shape), **cell}
            for case, cell in comparison().time(chosen, threads, rounds, budget=_BUDGET, tell=_tell)
        ]
    return {"environment": packages(max(options.threads)), "cells": cells}


def _tell(case: Case, cell: dict[str, Any]) -> None:
    shape = "x".join(map(str, case.shape))
    multiples = ", ".join(f"{name} {value}" for name, value in cell["multiple_of_clone"].items())
    where = f"{case.kind} {case.wavelet} {case.mode} level {case.level} {shape}"
    faster = list(cell.get("times_faster_than_best_library", {}).values())
    text = f"{where} {cell['pass']} x{cell['threads']}: {multiples}; faster {faster}"
    print(text, flush=True)


def render(record: dict[str, Any]) -> str:
    """One table a kind: how many times faster than the better library, eager / compiled."""
    parts: list[str] = []
    for kind in dict.fromkeys(cell["kind"] for cell in record["cells"]):
        figures: dict[tuple[str, str, str], dict[Shape, str]] = {}
        mine = [cell for cell in record["cells"] if cell["kind"] == kind]
        for cell in sorted(mine, key=lambda cell: cell["threads"]):
            name = f"{cell['wavelet']}, {cell['mode']}, level {cell['level']}"
            faster = cell.get("times_faster_than_best_library")
            figure = " / ".join(f"{faster[who]:.1f}" for who in OURS) if faster else "–"
            row = figures.setdefault((name, cell["pass"], str(cell["threads"])), {})
            row[tuple(cell["shape"])] = figure
        shapes = list(dict.fromkeys(tuple(cell["shape"]) for cell in mine))
        head = ["", "pass", "threads", *(f"({','.join(map(str, shape))})" for shape in shapes)]
        rows = [[*row, *(found.get(s, "–") for s in shapes)] for row, found in figures.items()]
        parts += [f"{kind.capitalize()}:", Table(head, rows).markdown()]
    return "\n\n".join(parts)


BENCHMARK = Benchmark(
    name="filters",
    question="Are longer filters, undecimated Haar and the dual tree faster than in the better "
    "library?",
    measure=lambda options, save: benchmark(options),
    records={"transforms/filters.json": "--threads 1"},
    shown=lambda record: (View(DOCS / "transforms-speed.md", render, "filters"),),
    command_line=Options,
)


if __name__ == "__main__":
    BENCHMARK.run_old_command(printed=True)
