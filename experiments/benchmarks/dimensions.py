"""Times the transforms of signals and volumes: ``python -m experiments bench dimensions``.

Question: are 1-D and 3-D transforms faster here than in the best library, forward and backward?
Contenders, in eager mode, each on the shapes and modes that it has: ours; torchwavelets, eager or
compiled, whichever is faster on the shape; pytorch-wavelets; ptwt, of volumes whichever of its two
convolutions is faster. The two last have no three- or one-dimensional undecimated transforms to
compare, so the decimated ones are timed. `experiments.benchmarks.interleaved` says how, each
contender in a process of its own (`experiments.benchmarks.alone`). Before that, every contender's
coefficients must be ours.
Figures: docs/transforms-speed.md; record: experiments/records/transforms/dimensions.json.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any, cast

import torch
from torch import Tensor

from experiments.benchmarks.alone import Alone, Seen
from experiments.benchmarks.interleaved import LIMIT, OURS, Shape, Transform, times
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.experiment import DOCS, View
from experiments.core.records import environment
from wavevit.checks import check_at_least, fail
from wavevit.wavelets import wavedec, wavedec3

__all__ = ["CASES", "CONTENDERS", "Case", "Options", "benchmark", "contenders", "render"]

_OURS = OURS[0]
_BUDGET = 3.0  # seconds of a cell after which no new round begins, once there are three
_SHAPES = (
    (32, 8, 4096),
    (8, 1, 65536),
    (2, 1, 64, 64, 64),
    (1, 4, 96, 96, 96),
    (8, 16, 32, 32, 32),
)


@dataclass(frozen=True)
class Case:
    """What is timed, and of what: signals (B, C, L) or volumes (B, C, D, H, W)."""

    wavelet: str
    mode: str
    level: int
    shape: tuple[int, ...]

    @property
    def dims(self) -> int:
        """Number of sides."""
        return len(self.shape) - 2


CASES: tuple[Case, ...] = tuple(
    Case(wavelet, mode, level, shape)
    # Of even sides Haar reaches beyond none: every mode is the same transform.
    for wavelet, mode in (("haar", "zero"), ("db4", "symmetric"))
    for level in (1, 2)
    for shape in _SHAPES
)


@dataclass
class Options(BenchmarkOptions):
    """Time transforms of signals and volumes against other libraries."""

    quick: bool = False
    """Three rounds in place of up to eleven: to see that it runs, not to quote."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads; after the first, one level only."""


def _ours(case: Case) -> Transform:
    decompose = wavedec if case.dims == 1 else wavedec3

    def transform(x: Tensor) -> Sequence[Tensor]:
        approx, details = decompose(x, case.wavelet, case.mode, case.level)
        return (approx, *details)

    return transform


def _torchwavelets(case: Case) -> Transform:
    module = import_module("torchwavelets").DWT1D(case.level, case.wavelet, case.mode)
    compiled = torch.compile(module, fullgraph=True, dynamic=False)

    def of(transform: Callable[[Tensor], Any]) -> Transform:
        def coefficients(x: Tensor) -> Sequence[Tensor]:
            approx, details = transform(x)
            return (approx, *details)

        return coefficients

    return _fastest(case, of(module), of(compiled))


def _pytorch_wavelets(case: Case) -> Transform:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks setuptools for what setuptools deprecates
        library = import_module("pytorch_wavelets")
    module = library.DWT1DForward(J=case.level, wave=case.wavelet, mode=case.mode)

    def transform(x: Tensor) -> Sequence[Tensor]:
        approx, details = module(x)
        return (approx, *details)

    return transform


def _ptwt(case: Case) -> Transform:
    library = import_module("ptwt")
    how = {"mode": case.mode, "level": case.level}

    def line(x: Tensor) -> Sequence[Tensor]:
        return library.wavedec(x, case.wavelet, **how)

    def of(decompose: Callable[..., Any]) -> Transform:
        def coefficients(x: Tensor) -> Sequence[Tensor]:
            approx, *details = decompose(x, case.wavelet, **how)
            return (approx, *(band for bands in details for band in bands.values()))

        return coefficients

    if case.dims == 1:
        return line
    return _fastest(case, of(library.wavedec3), of(library.fswavedec3))


def _fastest(case: Case, *transforms: Transform) -> Transform:
    """The one whose second run on the case's shape takes least."""
    x = torch.randn(case.shape, generator=torch.Generator().manual_seed(0))

    def second_run(transform: Transform) -> float:
        transform(x)
        begin = time.perf_counter()
        transform(x)
        return time.perf_counter() - begin

    return min(transforms, key=second_run)


def _limit(case: Case) -> Transform:
    return lambda x: (x.clone(),)


CONTENDERS: dict[str, Callable[[Case], Transform]] = {
    _OURS: _ours,
    LIMIT: _limit,
    "torchwavelets": _torchwavelets,
    "pytorch-wavelets": _pytorch_wavelets,
    "ptwt": _ptwt,
}
_LIBRARIES = ("torchwavelets", "pytorch-wavelets", "ptwt")


def contenders() -> dict[str, Callable[[Case], Transform]]:
    """Builders by name; libraries that are not installed are said and left out."""
    found = dict(CONTENDERS)
    for name in _LIBRARIES:
        if find_spec(name.replace("-", "_")) is None:
            print(f"{name} is left out: it is not installed")
            found.pop(name, None)
    return found


def _serves(name: str, case: Case) -> bool:
    """Whether a contender has the transform: of volumes, ptwt alone does."""
    return case.dims == 1 or name not in ("torchwavelets", "pytorch-wavelets")


def _check(name: str, seen: Seen, ours: Seen) -> None:
    """Details are laid out differently by everyone: their energy must agree."""
    errors = [abs(s - o) / (abs(o) or 1) for s, o in zip(seen[:2], ours[:2], strict=True)]
    error = max(*errors, abs(seen.direction - ours.direction))
    if not error < 1e-3:
        fail(name, "our coefficients to within 0.001", f"an error of {error:.2g}")


def _cell(case: Case, backward: bool, found: dict[str, Alone], rounds: int) -> dict[str, Any]:
    serving = {name: each for name, each in found.items() if _serves(name, case)}
    shape = cast(Shape, case.shape)
    # The limit stays one copy: a backward pass is at best a second one.
    seen = {
        name: contender.prepare(case, shape, backward and name != LIMIT)
        for name, contender in serving.items()
    }
    for name in serving:
        if name != LIMIT:
            _check(name, seen[name], seen[_OURS])
    seconds = times(dict(serving), rounds, _BUDGET)
    milliseconds = {name: 1e3 * median(taken) for name, taken in seconds.items()}
    cell: dict[str, Any] = {
        "pass": "forward+backward" if backward else "forward",
        "rounds": len(seconds[LIMIT]),
        "milliseconds": {name: round(value, 4) for name, value in milliseconds.items()},
        "multiple_of_clone": {
            name: round(_ratio(taken, seconds[LIMIT]), 2) for name, taken in seconds.items()
        },
    }
    libraries = [name for name in _LIBRARIES if name in seconds]
    if libraries:
        best = min(libraries, key=lambda name: milliseconds[name])
        cell["best_library"] = best
        cell["times_faster_than_best_library"] = round(_ratio(seconds[best], seconds[_OURS]), 2)
    return cell


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios within a round."""
    return median(a / b for a, b in zip(one, other, strict=True))


def benchmark(
    options: Options, cases: Sequence[Case] = CASES, save: Save | None = None
) -> dict[str, Any]:
    """Times every case, forward and with backward.

    Args:
        options: the command line's.
        cases: what is timed.
        save: writes the record as far as it is, after each number of threads.

    Returns:
        The record: ``environment``, ``load`` (of the machine, in running processes, before and
        after) and ``cells``.

    Raises:
        ValueError: no thread, or a contender that fails or whose coefficients are not ours.
    """
    for threads in options.threads:
        check_at_least("threads", threads, 1)
    rounds = 3 if options.quick else 11
    cells: list[dict[str, Any]] = []
    builders, load = contenders(), os.getloadavg()[0]

    def record() -> dict[str, Any]:
        packages = environment(torch.device("cpu"), max(options.threads), ["numba", *_LIBRARIES])
        loads = [round(load, 1), round(os.getloadavg()[0], 1)]
        return {"environment": packages, "load": loads, "cells": cells}

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
                    cell = _cell(case, backward, found, rounds)
                    where = {**vars(case), "shape": list(case.shape), "threads": threads}
                    cells.append({**where, **cell})
                    print(_line(cells[-1]), flush=True)
        if save is not None:
            save(record())
    return record()


def _line(cell: dict[str, Any]) -> str:
    shape = "x".join(map(str, cell["shape"]))
    multiples = ", ".join(f"{name} {value}" for name, value in cell["multiple_of_clone"].items())
    where = f"{cell['wavelet']} level {cell['level']} {shape} {cell['pass']} x{cell['threads']}"
    return f"{where}: {multiples}; faster {cell.get('times_faster_than_best_library', '–')}"


def render(record: dict[str, Any]) -> str:
    """How many times faster than the best library, and which that is, shape by shape."""
    cells = record["cells"]
    shapes = list(dict.fromkeys(tuple(cell["shape"]) for cell in cells))
    titles = [f"({','.join(map(str, shape))})" for shape in shapes]
    lines = ["| " + " | ".join(["", "pass", "threads", *titles]) + " |"]
    lines.append("|" + "---|" * (3 + len(shapes)))
    rows: dict[tuple[str, str, str], dict[tuple[int, ...], str]] = {}
    for cell in sorted(cells, key=lambda cell: cell["threads"]):
        name = f"{cell['wavelet']}, {cell['mode']}, level {cell['level']}"
        row = rows.setdefault((name, cell["pass"], str(cell["threads"])), {})
        if "best_library" in cell:
            faster = f"{cell['times_faster_than_best_library']:.1f}"
            row[tuple(cell["shape"])] = f"{faster} ({cell['best_library']})"
    for titles_of_row, figures in rows.items():
        entries = [figures.get(shape, "–") for shape in shapes]
        lines.append("| " + " | ".join([*titles_of_row, *entries]) + " |")
    return "\n".join(lines)


BENCHMARK = Benchmark(
    name="dimensions",
    question="Are 1-D and 3-D transforms faster than in the best library?",
    measure=lambda options, save: benchmark(options, save=save),
    records={"transforms/dimensions.json": ""},
    shown=lambda record: (View(DOCS / "transforms-speed.md", render, "dimensions"),),
    command_line=Options,
    minutes={"transforms/dimensions.json": "7"},
)
