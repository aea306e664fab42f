"""A contender in a process of its own, as its users run it.

How long a transform takes depends on whether the allocator hands it pages that it touched before,
and in a shared process that depends on what the *other* contenders allocate: ptwt's forward pass
at (32,3,224,224) took 6 clones in one such run and 18 in the next. So each has its own process,
and the parent asks them in turn. It is asked for three passes at a time, after three that are not
timed: then its caches and its heap are as in a loop over batches. A pass that takes a tenth of a
second and more, which has lost every cache before it ends, is asked for one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.benchmarks.interleaved import Shape, Transform, one_pass
from wavevit.checks import fail

__all__ = ["Alone", "Contender", "Seen"]

_UNTIMED, _PASSES = 3, 3
_LONG = 0.1  # seconds


class Seen(NamedTuple):
    """What a contender's coefficients are, in numbers that do not depend on their layout.

    Attributes:
        approx: energy of the first result, over the image's.
        details: energy of all others, over the image's.
        direction: of the first result, its inner product with seeded noise of its shape, over its
            norm: what has the same energy and shape but other values has another one.
    """

    approx: float
    details: float
    direction: float


def _seen(x: Tensor, parts: Sequence[Tensor]) -> Seen:
    def energy(part: Tensor) -> float:
        return float(part.double().square().sum())

    approx, *details = parts
    noise = torch.randn(approx.shape, generator=torch.Generator().manual_seed(1))
    product = float((approx.double() * noise).sum())
    whole = energy(x)
    return Seen(
        energy(approx) / whole, sum(map(energy, details)) / whole, product / energy(approx) ** 0.5
    )


class Contender:
    """A transform of this process, built for one case after the other and timed.

    Args:
        build: gives the transform for a case.
    """

    def __init__(self, build: Callable[[Any], Transform]) -> None:
        self._build = build
        self._case: Any = None
        self._transform: Transform | None = None
        self._run: Callable[[], object] | None = None
        self._passes = _PASSES

    def prepare(self, case: Any, shape: Shape, backward: bool) -> Seen:
        """Builds the case unless it is the last one, makes images of this shape, and warms up."""
        if self._transform is None or case != self._case:
            torch.compiler.reset()  # what was compiled for another case
            self._case, self._transform = case, self._build(case)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        seen = _seen(x, self._transform(x))
        self._run = one_pass(self._transform, x, backward)
        self._run()  # compiles
        self._passes = _PASSES if _seconds(self._run, 1) < _LONG else 1
        _seconds(self._run, self._passes - 1)
        return seen

    def __call__(self) -> float:
        """Seconds of one pass."""
        assert self._run is not None
        return _seconds(self._run, self._passes) / self._passes


def _serve(build: Callable[[Any], Transform], threads: int, pipe: Connection) -> None:
    """Answers until the parent hangs up: something to prepare, or None to time it."""
    torch.set_num_threads(threads)
    contender = Contender(build)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(contender() if task is None else contender.prepare(*task))
        except Exception as error:  # the parent raises it, with the contender's name
            pipe.send(f"{type(error).__name__}: {error}")


def _seconds(run: Callable[[], object], passes: int) -> float:
    begin = time.perf_counter()
    for _ in range(passes):
        run()
    return time.perf_counter() - begin


class Alone:
    """A `Contender` in a fresh process.

    Args:
        name: for complaints.
        build: a picklable function that gives the transform for a case.
        threads: of torch, in that process.
    """

    def __init__(self, name: str, build: Callable[[Any], Transform], threads: int) -> None:
        self.name = name
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(build, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def _ask(self, task: Any) -> Any:
        self._pipe.send(task)
        try:
            answer = self._pipe.recv()
        except EOFError:
            answer = "its process ended"
        if isinstance(answer, str):
            fail(self.name, "a transform that runs", answer)
        return answer

    def prepare(self, case: Any, shape: Shape, backward: bool) -> Seen:
        """As `Contender.prepare`."""
        return self._ask((case, shape, backward))

    def __call__(self) -> float:
        """Seconds of one pass."""
        return self._ask(None)

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()
