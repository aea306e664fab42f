"""Times the transforms of signals and volumes: ``python -m experiments bench dimensions``.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.alone import Comparison, TimingOptions, installed
from experiments.benchmarks.interleaved import LIMIT, OURS, Transform, medians, multiples
from experiments.benchmarks.libraries import by_shape, fastest, limit, pytorch_wavelets
from experiments.core.benchmark import Benchmark, Save
from experiments.core.experiment import DOCS, View
from experiments.core.records import environment
from wavevit.wavelets import wavedec, wavedec3

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
class Options(TimingOptions):
    """Time transforms of signals and volumes against other libraries.

    After the first number of threads, one level only."""


def _flat(transform: Callable[[Tensor], Any]) -> Transform:
    """A transform to (approx, details) as one to a flat sequence."""

    def coefficients(x: Tensor) -> Sequence[Tensor]:
        approx, details = transform(x)
        return (approx, *details)

    return coefficients


def _ours(case: Case) -> Transform:
    decompose = wavedec if case.dims == 1 else wavedec3
    return _flat(lambda x: decompose(x, case.wavelet, case.mode, case.level))


def _torchwavelets(case: Case) -> Transform:
    module = import_module("torchwavelets").DWT1D(case.level, case.wavelet, case.mode)
    compiled = torch.compile(module, fullgraph=True, dynamic=False)
    return fastest(case.shape, _flat(module), _flat(compiled))


def _pytorch_wavelets(case: Case) -> Transform:
    library = pytorch_wavelets()
    return _flat(library.DWT1DForward(J=case.level, wave=case.wavelet, mode=case.mode))


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
    return fastest(case.shape, of(library.wavedec3), of(library.fswavedec3))


CONTENDERS: dict[str, Callable[[Case], Transform]] = {
    OURS[0]: _ours,
    LIMIT: limit,
    "torchwavelets": _torchwavelets,
    "pytorch-wavelets": _pytorch_wavelets,
    "ptwt": _ptwt,
}
_LIBRARIES = ("torchwavelets", "pytorch-wavelets", "ptwt")


def _serves(name: str, case: Case) -> bool:
    """Whether a contender has the transform: of volumes, ptwt alone does."""
    return case.dims == 1 or name not in ("torchwavelets", "pytorch-wavelets")


def _best(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Where a library has the transform, which is the best and how much faster we are."""
    typical = medians(seconds)
    libraries = [name for name in _LIBRARIES if name in typical]
    if not libraries:
        return {}
    best = min(libraries, key=lambda name: typical[name])
    faster = round(multiples(seconds, OURS[0])[best], 2)
    return {"best_library": best, "times_faster_than_best_library": faster}


def benchmark(
    options: Options, cases: Sequence[Case] = CASES, save: Save = lambda record: None
) -> dict[str, Any]:
    """Times every case, forward and with backward.

    Returns:
        The record: ``environment``, ``load`` (of the machine, in running processes, before and
        after) and ``cells``.

    Raises:
        ValueError: no thread, or a contender that fails or whose coefficients are not ours.
    """
    load = os.getloadavg()[0]

    def record(cells: list[dict[str, Any]]) -> dict[str, Any]:
        packages = environment(torch.device("cpu"), max(options.threads), ["numba", *_LIBRARIES])
        loads = [round(load, 1), round(os.getloadavg()[0], 1)]
        return {"environment": packages, "load": loads, "cells": cells}

    field = Comparison(installed(CONTENDERS, _LIBRARIES), _serves, _best)
    return record(field.cells(options, cases, _BUDGET, lambda cells: save(record(cells))))


def _faster(cell: Mapping[str, Any]) -> str:
    if "best_library" not in cell:
        return "–"
    return f"{cell['times_faster_than_best_library']:.1f} ({cell['best_library']})"


def render(record: dict[str, Any]) -> str:
    """How many times faster than the best library, and which that is, shape by shape."""
    return by_shape(record["cells"], _faster)


BENCHMARK = Benchmark(
    name="dimensions",
    question="Are 1-D and 3-D transforms faster than in the best library?",
    measure=lambda options, save: benchmark(options, save=save),
    records={"transforms/dimensions.json": ""},
    shown=lambda record: (View(DOCS / "transforms-speed.md", render, "dimensions"),),
    command_line=Options,
)
