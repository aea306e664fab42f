"""Times Haar beside other libraries: ``python -m experiments bench transforms``.

Question: how far from a copy of the image is a wavelet transform, ours and theirs?
Every contender has a process of its own (`experiments.benchmarks.alone` says why) and all are asked
in turn; then again in fresh processes that meet the shapes in another order, since one process may
be lucky with its allocator. The limit is ``x.clone()``. Before anything is timed, every contender's
coefficients must have the image's energy.
Figures and what they decided: docs/transforms-speed.md; record: experiments/records/transforms/.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.alone import Alone
from experiments.benchmarks.interleaved import (
    LIBRARIES,
    LIMIT,
    OURS,
    Shape,
    Transform,
    packages,
    summary,
    times,
)
from experiments.core.benchmark import Benchmark, BenchmarkOptions
from experiments.core.experiment import DOCS, View
from experiments.core.usage import old_command, printed_only
from wavevit.checks import check_at_least, fail
from wavevit.wavelets import dwt2, wavedec2

__all__ = [
    "CONTENDERS",
    "SHAPES",
    "Options",
    "benchmark",
    "contenders",
    "table",
]

SHAPES: tuple[Shape, ...] = (
    (32, 3, 224, 224),
    (32, 64, 56, 56),
    (8, 256, 28, 28),
    (1, 3, 2048, 2048),
)
EAGER, COMPILED = OURS
PASSES = {"forward": "forward", "forward + backward": "forward+backward"}


@dataclass
class Options(BenchmarkOptions):
    """Time one and three levels of Haar, forward and with backward, against other libraries."""

    quick: bool = False
    """One process and three rounds: to see that it runs, not to quote."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads, each timed on its own."""
    levels: tuple[int, ...] = (1, 3)
    """Numbers of levels."""


def _ours(level: int) -> Transform:
    def transform(x: Tensor) -> Sequence[Tensor]:
        if level == 1:
            return (dwt2(x),)
        approx, details = wavedec2(x, level=level)
        return (approx, *details)

    return transform


def _convolution(level: int) -> Transform:
    signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    weight = (signs / 2).view(4, 1, 2, 2)

    def transform(x: Tensor) -> Sequence[Tensor]:
        channels, results = x.shape[1], []
        grouped = weight.repeat(channels, 1, 1, 1)
        for _ in range(level):
            x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
            bands = F.conv2d(x, grouped, stride=2, groups=channels).unflatten(1, (channels, 4))
            x = bands[:, :, 0]
            results.append(bands[:, :, 1:])
        return (x, *results)

    return transform


def _pytorch_wavelets(level: int) -> Transform:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks setuptools for what setuptools deprecates
        library = import_module("pytorch_wavelets")
    module = library.DWTForward(J=level, wave="haar", mode="periodization")

    def transform(x: Tensor) -> Sequence[Tensor]:
        approx, details = module(x)
        return (approx, *details)

    return transform


def _ptwt(level: int) -> Transform:
    library = import_module("ptwt")

    def transform(x: Tensor) -> Sequence[Tensor]:
        approx, *details = library.wavedec2(x, "haar", mode="zero", level=level)
        return (approx, *(band for bands in details for band in bands))

    return transform


def _limit(level: int) -> Transform:
    return lambda x: (x.clone(),)


def _compiled(level: int) -> Transform:
    return torch.compile(_ours(level), fullgraph=True, dynamic=False)


CONTENDERS: dict[str, Callable[[int], Transform]] = {
    LIMIT: _limit,
    EAGER: _ours,
    COMPILED: _compiled,
    "grouped convolution": _convolution,
    **dict(zip(LIBRARIES, (_pytorch_wavelets, _ptwt), strict=True)),
}


def contenders() -> dict[str, Callable[[int], Transform]]:
    """Builders by name, of those that are installed; those that are not are said."""
    found = dict(CONTENDERS)
    for name in LIBRARIES:
        if find_spec(name.replace("-", "_")) is None:
            print(f"{name} is left out: it is not installed")
            del found[name]
    return found


def _seconds(
    shape: Shape, level: int, backward: bool, found: dict[str, Alone], rounds: int
) -> dict[str, list[float]]:
    """By contender, round by round, of processes that are there."""
    for name, contender in found.items():
        # The limit stays one copy: a backward pass is at best a second one.
        seen = contender.prepare(level, shape, backward and name != LIMIT)
        energy = seen.approx + seen.details
        whole = not (shape[-2] % (1 << level) or shape[-1] % (1 << level))
        if whole and abs(energy - 1) > 1e-4:  # an odd side is extended, by each in its own way
            fail(name, "coefficients with the image's energy", f"{energy:.6g} of it")
    return times(dict(found), rounds)


def _cells(
    shapes: Sequence[Shape], level: int, threads: int, processes: int, rounds: int
) -> list[dict[str, Any]]:
    """Both passes of every shape: all rounds of all processes together."""
    builders = contenders()
    seconds: dict[tuple[Shape, bool], dict[str, list[float]]] = {
        (shape, backward): {name: [] for name in builders}
        for shape in shapes
        for backward in (False, True)
    }
    for turn in range(processes):
        with ExitStack() as stack:
            found = {}
            for name, build in builders.items():
                found[name] = Alone(name, build, threads)
                stack.callback(found[name].close)
            first = turn * len(shapes) // processes
            for shape in (*shapes[first:], *shapes[:first]):
                for backward in (False, True):
                    for name, new in _seconds(shape, level, backward, found, rounds).items():
                        seconds[shape, backward][name] += new
    return [
        {"shape": list(shape), "levels": level, **summary(taken, backward, threads)}
        for (shape, backward), taken in seconds.items()
    ]


def benchmark(options: Options, shapes: Sequence[Shape] | None = None) -> dict[str, Any]:
    """Times everything that the options name.

    Args:
        options: the command line's.
        shapes: images (B, C, H, W); by default `SHAPES`.

    Returns:
        The record: ``environment`` and ``cells``, one for each shape, number of levels, pass and
        number of threads, with milliseconds and multiples of clone by contender.

    Raises:
        ValueError: no thread, no level, or a contender that fails or whose coefficients are wrong.
    """
    for threads in options.threads:
        check_at_least("threads", threads, 1)
    for level in options.levels:
        check_at_least("levels", level, 1)
    processes, rounds = (1, 3) if options.quick else (3, 5)
    cells: list[dict[str, Any]] = []
    for level in options.levels:
        for threads in options.threads:
            new = _cells(tuple(shapes or SHAPES), level, threads, processes, rounds)
            print(table(new, header=not cells), flush=True)
            cells += new
    return {
        "environment": packages(max(options.threads)),
        "processes": processes,
        "rounds": rounds,
        "cells": cells,
    }


def table(cells: Sequence[dict[str, Any]], header: bool = True) -> str:
    """Multiples of clone in columns, and how much faster than the better library we are."""
    names = [EAGER, COMPILED, "grouped convolution", *LIBRARIES]
    titles = ["shape", "levels", "pass", "threads", "clone ms", *names, "eager x", "compiled x"]
    widths = [max(len(title), 7) for title in titles]
    widths[0], widths[2] = 18, 16
    rows = [titles] if header else []
    for cell in cells:
        multiples, faster = cell["multiple_of_clone"], cell.get("times_faster_than_best_library")
        rows.append(
            [
                "x".join(map(str, cell["shape"])),
                str(cell["levels"]),
                cell["pass"],
                str(cell["threads"]),
                f"{cell['milliseconds'][LIMIT]:.2f}",
                *(f"{multiples[name]:.2f}" if name in multiples else "-" for name in names),
                *(f"{faster[name]:.1f}" if faster else "-" for name in (EAGER, COMPILED)),
            ]
        )
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def render(record: dict[str, Any]) -> str:
    """A table for each number of levels, one thread: clones, and times the better library."""
    lines: list[str] = []
    for level in dict.fromkeys(cell["levels"] for cell in record["cells"]):
        cells = [c for c in record["cells"] if (c["levels"], c["threads"]) == (level, 1)]
        lines += ["", "One level:" if level == 1 else f"{level} levels:", ""]
        columns = [f"{how}{what}" for how in ("", "compiled ") for what in PASSES]
        lines.append("| shape | " + " | ".join(f"{column} | faster" for column in columns) + " |")
        lines.append("|" + "---|" * (1 + 2 * len(columns)))
        for shape in dict.fromkeys(tuple(cell["shape"]) for cell in cells):
            row = [f"({','.join(map(str, shape))})"]
            for name in (EAGER, COMPILED):
                for what in PASSES:
                    (cell,) = (
                        c for c in cells if (tuple(c["shape"]), c["pass"]) == (shape, PASSES[what])
                    )
                    limit = 2.0 if level == 1 and what == "forward" else float("inf")
                    clones, faster = (
                        cell[key][name]
                        for key in ("multiple_of_clone", "times_faster_than_best_library")
                    )
                    least = 5.0 if name == EAGER or what == "forward" else 4.5
                    row.append(f"**{clones:.2f}**" if clones > limit else f"{clones:.2f}")
                    row.append(f"**{faster:.1f}**" if faster < least else f"{faster:.1f}")
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines).strip()


BENCHMARK = Benchmark(
    name="transforms",
    question="How far from a copy of the image is a wavelet transform, ours and theirs?",
    measure=lambda options, save: benchmark(options),
    records={"transforms/cpu.json": ""},
    shown=lambda record: (View(DOCS / "transforms-speed.md", render, "haar"),),
    command_line=Options,
    minutes={"transforms/cpu.json": "22"},
    print_views=False,
)


if __name__ == "__main__":
    old_command(["bench", "transforms", *printed_only(sys.argv[1:])])
