"""Times Haar on a GPU: ``python -m experiments bench transforms_cuda``.

A pass reads every element once and writes every element once, as the copy does, so that share is
the time of the copy over the time of the pass. Contenders are timed in turn by CUDA events, a
figure is the median over rounds. Before anything is timed, ours is compared with float64 on the CPU
and everybody's results must have the energy of what went in.
What it decided: docs/transforms-speed.md; record: experiments/records/transforms/cuda.json.
Time on an H100: two minutes, most of it in compilers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from statistics import median
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._functorch import config as functorch
from torch.utils._pytree import tree_leaves

from experiments.benchmarks.interleaved import LIBRARIES, Shape, clock_of, medians, times
from experiments.benchmarks.libraries import (
    GROUPED,
    grouped_haar,
    haar_kernel,
    pytorch_wavelets,
)
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.device import pick_device
from experiments.core.experiment import DOCS, View
from experiments.core.records import NOT_INSTALLED, environment
from experiments.core.table import Table
from wavevit.checks import check_at_least, fail
from wavevit.progress import in_steps
from wavevit.testing import assert_close_relative, tolerance
from wavevit.wavelets import dwt2, idwt2, kernels, wavedec2, waverec2

SHAPE: Shape = (64, 64, 224, 224)
COPY, OURS, COMPILED, PLAIN = "copy", "wavevit", "wavevit compiled", "plain operations compiled"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PASSES = ("forward", "backward", "inverse")

_ROUND = 0.02  # seconds of a contender's turn, so that a launch's overhead hides behind the GPU
_MOST = 20  # calls of a turn


@dataclass
class Options(BenchmarkOptions):
    """Time one and three levels of Haar on a GPU: forward, backward, inverse."""

    quick: bool = False
    """One round: to see that it runs, not to quote."""
    levels: tuple[int, ...] = (1, 3)
    """Numbers of levels."""
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    """What is stored."""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu: to see that it runs."""


@dataclass(frozen=True)
class Contender:
    """A transform to whatever its library calls coefficients, and back."""

    forward: Callable[[Tensor], Any]
    inverse: Callable[[Any], Tensor]


def _wavevit(level: int) -> Contender:
    if level == 1:
        return Contender(dwt2, idwt2)
    return Contender(lambda x: wavedec2(x, level=level), waverec2)


def _compiled(level: int) -> Contender:
    ours = _wavevit(level)
    return Contender(
        torch.compile(ours.forward, fullgraph=True, dynamic=False),
        torch.compile(ours.inverse, fullgraph=True, dynamic=False),
    )


def _without_kernels(contender: Contender) -> Contender:
    def without(transform: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            with kernels(False):  # while a compiler traces, and for its guards later
                return transform(x)

        return run

    return Contender(without(contender.forward), without(contender.inverse))


def _convolution(level: int) -> Contender:
    kernel = haar_kernel()

    def forward(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        details = []
        for _ in range(level):
            bands = grouped_haar(x, kernel, stride=2)
            x = bands[:, :, 0]
            details.append(bands[:, :, 1:])
        return x, details

    def inverse(coefficients: tuple[Tensor, list[Tensor]]) -> Tensor:
        x, details = coefficients
        channels = x.shape[1]
        grouped = kernel.to(x).repeat(channels, 1, 1, 1)
        for finer in reversed(details):
            bands = torch.cat([x[:, :, None], finer], dim=2).flatten(1, 2)
            x = F.conv_transpose2d(bands, grouped, stride=2, groups=channels)
        return x

    return Contender(forward, inverse)


def _pytorch_wavelets(level: int) -> Contender:
    library = pytorch_wavelets()
    there = library.DWTForward(J=level, wave="haar", mode="periodization")
    back = library.DWTInverse(wave="haar", mode="periodization")
    return Contender(lambda x: there.to(x)(x), lambda c: back.to(c[0])(c))


def _ptwt(level: int) -> Contender:
    library = import_module("ptwt")
    return Contender(
        lambda x: library.wavedec2(x, "haar", mode="zero", level=level),
        lambda c: library.waverec2(c, "haar"),
    )


CONTENDERS: dict[str, Callable[[int], Contender]] = {
    OURS: _wavevit,
    COMPILED: _compiled,
    PLAIN: lambda level: _without_kernels(_compiled(level)),
    GROUPED: _convolution,
    **dict(zip(LIBRARIES, (_pytorch_wavelets, _ptwt), strict=True)),
}


def _call(contender: Contender, what: str, x: Tensor) -> tuple[Callable[[], Any], Sequence[Tensor]]:
    """The pass as a call, and what goes into it."""
    if what == "forward":
        return lambda: contender.forward(x), [x]
    if what == "inverse":
        coefficients = contender.forward(x)
        return lambda: contender.inverse(coefficients), tree_leaves(coefficients)
    leaf = x.detach().requires_grad_()
    results = tree_leaves(contender.forward(leaf))
    # The coefficients of other images: nothing that the pass could know.
    cotangents = [part.detach().flip(0) for part in results]
    return lambda: torch.autograd.grad(results, leaf, cotangents, retain_graph=True), cotangents


def _energy(parts: Any) -> float:
    norms = [float(torch.linalg.vector_norm(p, dtype=torch.float64)) for p in tree_leaves(parts)]
    return sum(norm**2 for norm in norms)


def _check(name: str, run: Callable[[], Any], given: Sequence[Tensor]) -> None:
    """What came out has the energy of what went in: each of these maps is orthonormal."""
    # cuDNN may round a filter to ten bits of mantissa in float32; a lost band loses percents.
    bound = max(2e-3, tolerance(given[0].dtype))
    share = _energy(run()) / _energy(given)
    if not abs(share - 1) <= bound:
        fail(name, "results with the energy of what went in", f"{share:.6g} of it")


def _check_values(level: int, what: str, run: Callable[[], Any], given: Sequence[Tensor]) -> None:
    """The first planes and the last, against plain operations in float64 on the CPU."""
    exact, ours = _without_kernels(_wavevit(level)), tree_leaves(run())
    for end in (slice(0, 2), slice(-2, None)):
        which = (end, end)
        parts = [part[which].cpu().double() for part in given]
        if what == "forward":
            theirs = tree_leaves(exact.forward(parts[0]))
        else:  # the transform is orthonormal: its backward pass is its inverse
            approx, *details = parts
            theirs = [exact.inverse((approx, tuple(details)) if details else approx)]
        for a, b in zip(ours, theirs, strict=True):
            assert_close_relative(a[which].cpu(), b, depth=level)


def _cell(
    what: str, x: Tensor, level: int, found: dict[str, Contender], rounds: int
) -> dict[str, Any]:
    clock = clock_of(x.device)
    target = torch.empty_like(x)
    passes: dict[str, Callable[[], float]] = {}
    refusals: dict[str, str] = {}

    def add(name: str, run: Callable[[], Any]) -> None:
        calls = min(max(int(_ROUND / max(clock(run, 2), 1e-9)), 1), _MOST) if rounds > 1 else 1
        passes[name] = lambda: clock(run, calls)

    add(COPY, lambda: target.copy_(x))
    for name, contender in found.items():
        try:
            run, given = _call(contender, what, x)
            run()
        except (RuntimeError, ValueError, TypeError) as error:
            if name in (OURS, COMPILED, PLAIN):
                raise
            refusals[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        _check(name, run, given)
        if name in (OURS, COMPILED, PLAIN):
            _check_values(level, what, run, given)
        add(name, run)
    seconds = times(passes, rounds)
    typical, size = medians(seconds), 2 * x.numel() * x.element_size()
    return {
        "shape": list(x.shape),
        "dtype": str(x.dtype).removeprefix("torch."),
        "levels": level,
        "pass": what,
        "rounds": rounds,
        "milliseconds": {name: round(1e3 * own, 4) for name, own in typical.items()},
        "gigabytes_per_second": {name: round(size / own / 1e9, 1) for name, own in typical.items()},
        "share_of_copy": {
            name: round(median(b / a for a, b in zip(all_, seconds[COPY], strict=True)), 3)
            for name, all_ in seconds.items()
        },
        "refuses": refusals,
    }


def benchmark(
    options: Options, shape: Shape = SHAPE, save: Save = lambda record: None
) -> dict[str, Any]:
    """Times everything that the options name.

    Args:
        options: the command line's.
        shape: images (B, C, H, W), whose sides ``2**level`` divides.
        save: called with the record so far, after every cell.

    Returns:
        The record: ``environment`` and ``cells``, one for each dtype, number of levels and pass,
        with milliseconds, gigabytes a second and the share of the copy's bandwidth by contender,
        and the complaints of libraries that do not take such images.

    Raises:
        ValueError: no level, a device that is not there, a library that is missing, or a contender
            whose results are wrong.
        AssertionError: ours differ from float64 on the CPU.
    """
    for level in options.levels:
        check_at_least("levels", level, 1)
    device = pick_device(options.device)
    record: dict[str, Any] = {"environment": _packages(device), "cells": []}
    rounds = 1 if options.quick else 7
    places = product(options.dtypes, options.levels)
    for name, level in in_steps(places, lambda place: f"{place[0]}, levels: {place[1]}", bar=False):
        torch.compiler.reset()
        found = {key: build(level) for key, build in CONTENDERS.items()}
        x = torch.randn(shape, device=device, dtype=DTYPES[name])
        for what in PASSES:
            # A compiled backward pass is run again and again: it must keep its buffers.
            with functorch.patch(donated_buffer=False):
                record["cells"].append(_cell(what, x, level, found, rounds))
            shares = record["cells"][-1]["share_of_copy"]
            print(f"{name}, levels: {level}, {what}, share of the copy: {shares}", flush=True)
            save(record)
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return record


def _packages(device: torch.device) -> dict[str, Any]:
    needed = ("triton", *LIBRARIES)
    found = environment(device, torch.get_num_threads(), needed)
    for package in needed:
        if found["packages"][package] == NOT_INSTALLED:
            fail(package, "an installed package", "none")
    return found


def render(record: dict[str, Any]) -> str:
    """Our share of the copy, and how many times faster we are than each of the others."""
    others = [name for name in CONTENDERS if name != OURS]
    head = ["dtype", "levels", "pass", "copy, GB/s", "ours, GB/s", "share, %"]
    rows = []
    for cell in record["cells"]:
        speed, spent = cell["gigabytes_per_second"], cell["milliseconds"]
        share = f"{100 * cell['share_of_copy'][OURS]:.0f}"
        row = [cell["dtype"], str(cell["levels"]), cell["pass"]]
        row += [f"{speed[COPY]:.0f}", f"{speed[OURS]:.0f}"]
        row.append(f"**{share}**" if cell["share_of_copy"][OURS] < 0.85 else share)
        row += [f"{spent[n] / spent[OURS]:.2f}" if n in spent else "refuses" for n in others]
        rows.append(row)
    shape = ",".join(map(str, record["cells"][0]["shape"]))
    where = record["environment"]
    told = f"{where['device_name']}, torch {where['packages']['torch']}, images ({shape}):"
    titles = [*head, *(f"× {name}" for name in others)]
    return f"{told}\n\n{Table(titles, rows).markdown()}"


BENCHMARK = Benchmark(
    name="transforms_cuda",
    question="What share of a copy's bandwidth does a Haar transform reach on a GPU?",
    measure=lambda options, save: benchmark(options, save=save),
    records={"transforms/cuda.json": ""},
    shown=lambda record: (View(DOCS / "transforms-speed.md", render, "cuda"),),
    command_line=Options,
    minutes={"transforms/cuda.json": "2"},
)


if __name__ == "__main__":
    BENCHMARK.run_old_command(printed=True)
