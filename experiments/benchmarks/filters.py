"""Times everything but decimated Haar: ``python -m experiments bench filters``.

`experiments.benchmarks.libraries` says who the contenders are, `experiments.benchmarks.alone` how
they are timed: all in turn, each in a process of its own. Before that, every contender's
coefficients must be ours.
Figures: docs/transforms-speed.md; record: experiments/records/transforms/filters.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from experiments.benchmarks.alone import TimingOptions
from experiments.benchmarks.interleaved import OURS, Shape
from experiments.benchmarks.libraries import Case, by_shape, comparison, packages
from experiments.core.benchmark import Benchmark
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from wavevit.wavelets import dwt_max_level

_BUDGET = 1.0  # seconds of a cell after which no new round begins, once there are three
_SHAPES: tuple[Shape, ...] = (
    (32, 3, 224, 224),
    (32, 16, 112, 112),
    (32, 64, 56, 56),
    (1, 3, 1024, 1024),
)
_FEWER = tuple(shape for shape in _SHAPES if shape[1] != 16)
_LONGER = ("db4", "sym8", "bior4.4")
_MODES = ("zero", "symmetric", "reflect", "periodization", "periodic", "constant")
CASES: tuple[Case, ...] = (
    *(
        Case("decimated", wavelet, mode, level, shape)
        for wavelet, taps in (("db2", 4), ("db4", 8), ("sym8", 16), ("bior4.4", 10))
        for mode, levels in (("periodization", (1, 3)), ("symmetric", (1,)))
        for level in levels
        for shape in _FEWER
        if level <= dwt_max_level(*shape[2:], taps)  # deeper, pytorch-wavelets errs by 0.001
    ),
    *(
        Case("decimated", wavelet, mode, 1, shape)
        for wavelet in _LONGER
        for mode in _MODES
        if mode not in ("periodization", "symmetric")
        for shape in _FEWER
    ),
    *(Case("undecimated", "haar", "periodic", level, s) for level in (1, 2) for s in _FEWER),
    *(Case("dual tree", "near_sym_a", "symmetric", level, s) for level in (1, 3) for s in _SHAPES),
    *(Case("scattering", "near_sym_a", "symmetric", 2, shape) for shape in _FEWER),
)


@dataclass(frozen=True)
class Target:
    """How many times faster than the best library a kind of transform should be.

    Attributes:
        what: names of the transforms, for the tables.
        contender: ours, eager or compiled.
        passes: forward, with a backward pass, or both.
        least: factor in every case.
        kind: of `Case`.
        wavelets: those that count; all where there are none.
        level: the one that counts; all for 0.
    """

    what: str
    contender: str
    passes: tuple[str, ...]
    least: float
    kind: str
    wavelets: tuple[str, ...] = ()
    level: int = 0

    def factors(self, cells: Sequence[Mapping[str, Any]]) -> list[float]:
        """Of the cells of a record that count: how many times faster we are."""
        return [
            float(cell["times_faster_than_best_library"][self.contender])
            for cell in cells
            if cell["kind"] == self.kind
            and cell["pass"] in self.passes
            and (not self.wavelets or cell["wavelet"] in self.wavelets)
            and self.level in (0, cell["level"])
            and "times_faster_than_best_library" in cell
        ]


_BOTH = ("forward", "forward+backward")
_TREE, _SCATTERING = "dual tree, 3 levels", "scattering of two scales"
TARGETS: dict[str, Target] = {
    "longer, eager": Target(", ".join(_LONGER), OURS[0], _BOTH, 5.0, "decimated", _LONGER),
    "longer, compiled": Target(", ".join(_LONGER), OURS[1], _BOTH, 4.0, "decimated", _LONGER),
    "dual tree, forward": Target(_TREE, OURS[0], _BOTH[:1], 20.0, "dual tree", level=3),
    "dual tree, forward+backward": Target(_TREE, OURS[0], _BOTH[1:], 8.0, "dual tree", level=3),
    "scattering, forward": Target(_SCATTERING, OURS[0], _BOTH[:1], 20.0, "scattering"),
    "scattering, forward+backward": Target(_SCATTERING, OURS[0], _BOTH[1:], 8.0, "scattering"),
}


@dataclass
class Options(TimingOptions):
    """Time longer filters, undecimated Haar, dual tree and scattering against other libraries.

    After the first number of threads, one level only."""


def benchmark(options: Options, cases: Sequence[Case] = CASES) -> dict[str, Any]:
    """Times every case, forward and with backward.

    Returns:
        The record: ``environment`` and ``cells``.

    Raises:
        ValueError: no thread, or a contender that fails or whose coefficients are not ours.
    """
    cells = comparison().cells(options, cases, _BUDGET)
    return {"environment": packages(max(options.threads)), "cells": cells}


def _faster(cell: Mapping[str, Any]) -> str:
    faster = cell.get("times_faster_than_best_library")
    return " / ".join(f"{faster[name]:.1f}" for name in OURS) if faster else "–"


def render(record: dict[str, Any]) -> str:
    """One table a kind: how many times faster than the better library, eager / compiled."""
    parts: list[str] = []
    for kind in dict.fromkeys(cell["kind"] for cell in record["cells"]):
        mine = [cell for cell in record["cells"] if cell["kind"] == kind]
        parts += [f"{kind.capitalize()}:", by_shape(mine, _faster)]
    return "\n\n".join(parts)


def render_targets(record: dict[str, Any]) -> str:
    """One table: in how many cases each target is reached."""
    rows = []
    for target in TARGETS.values():
        found = target.factors(record["cells"])
        met = sum(factor >= target.least for factor in found)
        passes = " and ".join(target.passes)
        numbers = [f"{target.least:g}", f"{met} of {len(found)}"]
        if found:
            numbers += [f"{value:.1f}" for value in (min(found), median(found), max(found))]
        else:
            numbers += ["–"] * 3
        rows.append([target.what, target.contender, passes, *numbers])
    head = ("what", "contender", "pass", "target", "cases that reach it")
    return Table((*head, "lowest", "median", "highest"), rows).markdown()


BENCHMARK = Benchmark(
    name="filters",
    question="Are all transforms but decimated Haar faster than in the best library?",
    measure=lambda options, save: benchmark(options),
    records={"transforms/filters.json": "--threads 1"},
    shown=lambda record: (
        View(DOCS / "transforms-speed.md", render, "filters"),
        View(DOCS / "transforms-speed.md", render_targets, "filter-targets"),
    ),
    command_line=Options,
)


if __name__ == "__main__":
    BENCHMARK.run_old_command(printed=True)
