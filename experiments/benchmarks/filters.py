"""Times everything but decimated Haar: ``python -m experiments bench filters``.

Question: are longer filters, undecimated Haar and the dual tree faster here than in the better
library, forward and backward? Contenders, each in the modes that it has: ours, eager and compiled;
pytorch-wavelets; ptwt, whichever of its two convolutions is faster on the shape; for the
undecimated transform a grouped dilated convolution besides, and pytorch-wavelets level by level,
because its ``SWTForward`` fails beyond the first (1.3.0), and ptwt for one level, an axis at a
time, because it has no two-dimensional one. `experiments.benchmarks.interleaved` says how it is
timed, each contender in a process of its own (`experiments.benchmarks.alone`). Before that, every
contender's coefficients must be ours. More than one level, and more than one thread, are timed
separately, not together.
Figures: docs/transforms-speed.md; record: experiments/records/transforms/filters.json.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.alone import Alone, Seen
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
from wavevit.wavelets import dtcwt2, dwt_max_level, swt2, wavedec2

__all__ = [
    "CASES",
    "CONTENDERS",
    "Case",
    "Options",
    "benchmark",
    "contenders",
]


GROUPED = "grouped dilated convolution"
_BUDGET = 1.0  # seconds of a cell after which no new round begins, once there are three
_SHAPES: tuple[Shape, ...] = (
    (32, 3, 224, 224),
    (32, 16, 112, 112),
    (32, 64, 56, 56),
    (1, 3, 1024, 1024),
)


@dataclass(frozen=True)
class Case:
    """What is timed: ``"decimated"``, ``"undecimated"`` or ``"dual tree"``, and of what."""

    kind: str
    wavelet: str
    mode: str
    level: int
    shape: Shape


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


def _ours(case: Case) -> Transform:
    def transform(x: Tensor) -> Sequence[Tensor]:
        if case.kind == "undecimated":
            return (swt2(x, case.wavelet, case.level),)
        if case.kind == "dual tree":
            low, bands = dtcwt2(x, case.level, case.wavelet, mode=case.mode)
            return (low, *bands)
        approx, details = wavedec2(x, case.wavelet, case.mode, case.level)
        return (approx, *details)

    return transform


def _compiled(case: Case) -> Transform:
    return torch.compile(_ours(case), fullgraph=True, dynamic=False)


def _pytorch_wavelets(case: Case) -> Transform:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks setuptools for what setuptools deprecates
        library = import_module("pytorch_wavelets")
    if case.kind == "undecimated":
        return _level_by_level(import_module("pytorch_wavelets.dwt.lowlevel"), case)
    if case.kind == "dual tree":
        module = library.DTCWTForward(J=case.level, biort=case.wavelet)
    else:
        module = library.DWTForward(J=case.level, wave=case.wavelet, mode=case.mode)

    def transform(x: Tensor) -> Sequence[Tensor]:
        approx, details = module(x)
        return (approx, *details[::-1])

    return transform


def _level_by_level(lowlevel: ModuleType, case: Case) -> Transform:
    taps = import_module("pywt").Wavelet(case.wavelet)
    filters = lowlevel.prep_filt_afb2d(taps.dec_lo, taps.dec_hi, taps.dec_lo, taps.dec_hi)

    def transform(x: Tensor) -> Sequence[Tensor]:
        channels, levels = x.shape[1], []
        for step in range(case.level):
            bands = lowlevel.afb2d_atrous(x, filters, case.mode, 2**step)
            levels.append(bands.unflatten(1, (channels, 4)))
            x = levels[-1][:, :, 0]
        return (torch.stack(levels[::-1], dim=2),)

    return transform


def _ptwt(case: Case) -> Transform:
    library = import_module("ptwt")
    if case.kind == "undecimated":

        def both_axes(x: Tensor) -> Sequence[Tensor]:
            bands = [
                band
                for half in library.swt(x, case.wavelet, 1, axis=-1)
                for band in library.swt(half, case.wavelet, 1, axis=-2)
            ]
            return (torch.stack(bands, dim=2)[:, :, None],)

        return both_axes

    def whole(x: Tensor) -> Sequence[Tensor]:
        approx, *details = library.wavedec2(x, case.wavelet, mode=case.mode, level=case.level)
        return (approx, *(band for bands in details for band in bands))

    def separable(x: Tensor) -> Sequence[Tensor]:
        approx, *details = library.fswavedec2(x, case.wavelet, mode=case.mode, level=case.level)
        return (approx, *(band for bands in details for band in bands.values()))

    x = torch.randn(case.shape, generator=torch.Generator().manual_seed(0))
    return min((whole, separable), key=lambda transform: _second_run(transform, x))


def _second_run(transform: Transform, x: Tensor) -> float:
    transform(x)
    begin = time.perf_counter()
    transform(x)
    return time.perf_counter() - begin


def _convolution(case: Case) -> Transform:
    signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    weight = (signs / 2).view(4, 1, 2, 2)

    def transform(x: Tensor) -> Sequence[Tensor]:
        channels, levels = x.shape[1], []
        grouped = weight.repeat(channels, 1, 1, 1)
        for step in range(case.level):
            padded = F.pad(x, (0, 2**step, 0, 2**step), mode="circular")
            bands = F.conv2d(padded, grouped, dilation=2**step, groups=channels)
            levels.append(bands.unflatten(1, (channels, 4)))
            x = levels[-1][:, :, 0]
        return (torch.stack(levels[::-1], dim=2),)

    return transform


def _limit(case: Case) -> Transform:
    return lambda x: (x.clone(),)


CONTENDERS: dict[str, Callable[[Case], Transform]] = {
    **dict(zip(OURS, (_ours, _compiled), strict=True)),
    LIMIT: _limit,
    GROUPED: _convolution,
    **dict(zip(LIBRARIES, (_pytorch_wavelets, _ptwt), strict=True)),
}


def _serves(name: str, case: Case) -> bool:
    if name == GROUPED:
        return case.kind == "undecimated"
    if name == LIBRARIES[1]:
        decimated = case.kind == "decimated" and case.mode != "periodization"
        return decimated or (case.kind == "undecimated" and case.level == 1)
    return True


def contenders() -> dict[str, Callable[[Case], Transform]]:
    """Builders by name; libraries that are not installed are said and left out."""
    found = dict(CONTENDERS)
    for name in LIBRARIES:
        if find_spec(name.replace("-", "_")) is None:
            print(f"{name} is left out: it is not installed")
            found.pop(name, None)
    return found


def _check(name: str, seen: Seen, ours: Seen) -> None:
    """Details are laid out differently by everyone: their energy must agree."""
    errors = [abs(s - o) / (abs(o) or 1) for s, o in zip(seen[:2], ours[:2], strict=True)]
    error = max(*errors, abs(seen.direction - ours.direction))
    if not error < 1e-3:
        fail(name, "our coefficients to within 0.001", f"an error of {error:.2g}")


def _cell(
    case: Case, threads: int, backward: bool, found: dict[str, Alone], rounds: int
) -> dict[str, Any]:
    serving = {name: each for name, each in found.items() if _serves(name, case)}
    # The limit stays one copy: a backward pass is at best a second one.
    seen = {
        name: contender.prepare(case, case.shape, backward and name != LIMIT)
        for name, contender in serving.items()
    }
    for name in serving:
        if name != LIMIT:
            _check(name, seen[name], seen[OURS[0]])
    return summary(times(dict(serving), rounds, _BUDGET), backward, threads)


def benchmark(options: Options, cases: Sequence[Case] = CASES) -> dict[str, Any]:
    """Times every case, forward and with backward.

    Returns:
        The record: ``environment`` and ``cells``, each a case and what `summary` says of it.

    Raises:
        ValueError: no thread, or a contender that fails or whose coefficients are not ours.
    """
    for threads in options.threads:
        check_at_least("threads", threads, 1)
    rounds = 3 if options.quick else 11
    cells: list[dict[str, Any]] = []
    builders = contenders()
    for threads in options.threads:
        with ExitStack() as stack:
            found = {}
            for name, build in builders.items():
                found[name] = Alone(name, build, threads)
                stack.callback(found[name].close)
            for case in cases:
                if threads != options.threads[0] and case.level > 1:
                    continue
                for backward in (False, True):
                    cell = _cell(case, threads, backward, found, rounds)
                    cells.append({**vars(case), "shape": list(case.shape), **cell})
                    print(_line(cells[-1]), flush=True)
    return {"environment": packages(max(options.threads)), "cells": cells}


def _line(cell: dict[str, Any]) -> str:
    shape = "x".join(map(str, cell["shape"]))
    multiples = ", ".join(f"{name} {value}" for name, value in cell["multiple_of_clone"].items())
    where = f"{cell['kind']} {cell['wavelet']} {cell['mode']} level {cell['level']} {shape}"
    faster = cell.get("times_faster_than_best_library", {}).values()
    return f"{where} {cell['pass']} x{cell['threads']}: {multiples}; faster {list(faster)}"


def render(record: dict[str, Any]) -> str:
    """One table a kind: how many times faster than the better library, eager / compiled."""
    cells, lines = record["cells"], []
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        mine = [cell for cell in cells if cell["kind"] == kind]
        shapes = list(dict.fromkeys(tuple(cell["shape"]) for cell in mine))
        lines += ["", f"{kind.capitalize()}:", ""]
        titles = [f"({','.join(map(str, shape))})" for shape in shapes]
        lines.append("| " + " | ".join(["", "pass", "threads", *titles]) + " |")
        lines.append("|" + "---|" * (3 + len(shapes)))
        for row, figures in _rows(mine):
            entries = [figures.get(shape, "–") for shape in shapes]
            lines.append("| " + " | ".join([*row, *entries]) + " |")
    return "\n".join(lines).strip()


def _rows(
    cells: Sequence[dict[str, Any]],
) -> Iterator[tuple[tuple[str, str, str], dict[Shape, str]]]:
    rows: dict[tuple[str, str, str], dict[Shape, str]] = {}
    for cell in sorted(cells, key=lambda cell: cell["threads"]):
        name = f"{cell['wavelet']}, {cell['mode']}, level {cell['level']}"
        faster = cell.get("times_faster_than_best_library")
        figure = " / ".join(f"{faster[who]:.1f}" for who in OURS) if faster else "–"
        row = rows.setdefault((name, cell["pass"], str(cell["threads"])), {})
        row[tuple(cell["shape"])] = figure
    yield from rows.items()


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
    old_command(["bench", "filters", *printed_only(sys.argv[1:])])
