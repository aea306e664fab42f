"""Contenders timed in turn, each in a process of its own, as its users run it.

How long a transform takes depends on whether the allocator hands it pages that it touched before,
and in a shared process that depends on what the *other* contenders allocate: ptwt's forward pass
at (32,3,224,224) took 6 clones in one such run and 18 in the next. So each has its own process,
and the parent asks them in turn. It is asked for three passes at a time, after three that are not
timed: then its caches and its heap are as in a loop over batches. A pass that takes a tenth of a
second and more, which has lost every cache before it ends, is asked for one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.benchmarks.interleaved import clocked, times
from experiments.benchmarks.libraries import (
    LIMIT,
    OURS,
    Case,
    Transform,
    installed,
    serves,
    summary,
)
from experiments.core.worker import Complaint, Worker
from wavevit.checks import fail

__all__ = ["Alone", "Contender", "Seen", "time_cases"]

_PASSES = 3
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


def _one_pass(transform: Transform, x: Tensor, backward: bool) -> Callable[[], object]:
    """The transform of these images as a call, with the gradient of them where `backward`."""
    if not backward:
        return lambda: transform(x)
    leaf = x.clone().requires_grad_()
    cotangents = [torch.randn_like(part) for part in transform(leaf)]
    return lambda: torch.autograd.grad(transform(leaf), leaf, cotangents)


class Contender:
    """A transform of this process, built for one case after the other and timed.

    Args:
        build: gives the transform for a case.
    """

    def __init__(self, build: Callable[[Case], Transform]) -> None:
        self._build = build
        self._case: Case | None = None
        self._transform: Transform | None = None
        self._run: Callable[[], object] | None = None
        self._passes = _PASSES

    def prepare(self, case: Case, backward: bool) -> Seen:
        """Builds the case unless it is the last one, makes its images, and warms up."""
        if self._transform is None or case != self._case:
            torch.compiler.reset()  # what was compiled for another case
            self._case, self._transform = case, self._build(case)
        x = torch.randn(case.shape, generator=torch.Generator().manual_seed(0))
        seen = _seen(x, self._transform(x))
        self._run = _one_pass(self._transform, x, backward)
        self._run()  # compiles
        self._passes = _PASSES if clocked(self._run)() < _LONG else 1
        self._repeat(self._passes - 1)
        return seen

    def _repeat(self, count: int) -> None:
        assert self._run is not None
        for _ in range(count):  # no result outlives its pass
            self._run()

    def __call__(self) -> float:
        """Seconds of one pass."""
        return clocked(lambda: self._repeat(self._passes))() / self._passes


def _serve(build: Callable[[Case], Transform], threads: int, pipe: Connection) -> None:
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
            pipe.send(Complaint.of(error))


class Alone:
    """A `Contender` in a fresh process.

    Args:
        name: for complaints.
        build: a picklable function that gives the transform for a case.
        threads: of torch, in that process.
    """

    def __init__(self, name: str, build: Callable[[Case], Transform], threads: int) -> None:
        self.name, self._worker = name, Worker(_serve, build, threads)

    def _ask(self, task: Any) -> Any:
        answer = self._worker.ask(task)
        if isinstance(answer, Complaint):
            fail(self.name, "a transform that runs", answer)
        return answer

    def prepare(self, case: Case, backward: bool) -> Seen:
        """As `Contender.prepare`."""
        return self._ask((case, backward))

    def __call__(self) -> float:
        """Seconds of one pass."""
        return self._ask(None)

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()


def _check(case: Case, name: str, seen: Seen, ours: Seen) -> None:
    """Details are laid out differently by everyone, and Haar's first result is: energies agree."""
    if case.haar:
        energy = seen.approx + seen.details
        whole = not any(side % (1 << case.level) for side in case.shape[-2:])
        if whole and abs(energy - 1) > 1e-4:  # an odd side is extended, by each in its own way
            fail(name, "coefficients with the image's energy", f"{energy:.6g} of it")
        return
    errors = [abs(s - o) / (abs(o) or 1) for s, o in zip(seen[:2], ours[:2], strict=True)]
    error = max(*errors, abs(seen.direction - ours.direction))
    if not error < 1e-3:
        fail(name, "our coefficients to within 0.001", f"an error of {error:.2g}")


def _seconds(
    case: Case, backward: bool, found: dict[str, Alone], rounds: int, budget: float
) -> dict[str, list[float]]:
    """By contender, round by round, of processes that are there."""
    serving = {name: each for name, each in found.items() if serves(name, case)}
    # The limit stays one copy: a backward pass is at best a second one.
    seen = {name: one.prepare(case, backward and name != LIMIT) for name, one in serving.items()}
    for name in serving:
        if name != LIMIT:
            _check(case, name, seen[name], seen.get(OURS[0], seen[name]))
    return times(serving, rounds, budget)


def time_cases(
    cases: Sequence[Case],
    threads: int,
    rounds: int,
    *,
    processes: int = 1,
    budget: float = float("inf"),
    tell: Callable[[Case, dict[str, Any]], None] = lambda case, cell: None,
) -> list[tuple[Case, dict[str, Any]]]:
    """Times every contender that is installed on every case, forward and with backward.

    Args:
        cases: what is timed.
        threads: of each process.
        rounds: in which each contender is asked once.
        processes: how many each contender has, one after the other. Each meets the cases in another
            order, since one process may be lucky with its allocator.
        budget: seconds of a cell after which no new round begins, once there are three.
        tell: called with each cell when it is complete.

    Returns:
        Each case with its `summary`, once for each pass, over all rounds of all processes.

    Raises:
        ValueError: a contender that fails, or whose coefficients are wrong.
    """
    builders = installed()
    both = [(case, backward) for case in cases for backward in (False, True)]
    seconds: dict[tuple[Case, bool], dict[str, list[float]]] = {key: {} for key in both}
    cells: dict[tuple[Case, bool], dict[str, Any]] = {}
    for turn in range(processes):
        with ExitStack() as stack:
            found = {}
            for name, build in builders.items():
                if any(serves(name, case) for case in cases):
                    found[name] = Alone(name, build, threads)
                    stack.callback(found[name].close)
            first = 2 * (turn * len(cases) // processes)
            for key in both[first:] + both[:first]:
                for name, new in _seconds(*key, found, rounds, budget).items():
                    seconds[key].setdefault(name, []).extend(new)
                if turn == processes - 1:
                    cells[key] = summary(seconds[key], key[1], threads)
                    tell(key[0], cells[key])
    return [(key[0], cells[key]) for key in both]
