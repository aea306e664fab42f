"""Contenders timed in turn, each in a process of its own, as its users run it.

How long a transform takes depends on whether the allocator hands it pages that it touched before,
and in a shared process that depends on what the *other* contenders allocate: ptwt's forward pass
at (32,3,224,224) took 6 clones in one such run and 18 in the next. So each has its own process,
and the parent asks them in turn. It is asked for three passes at a time, after three that are not
timed: then its caches and its heap are as in a loop over batches. A pass that takes a tenth of a
second and more, which has lost every cache before it ends, is asked for one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from experiments.benchmarks.interleaved import (
    LIMIT,
    OURS,
    Transform,
    clocked,
    medians,
    multiples,
    times,
)
from experiments.core.benchmark import BenchmarkOptions
from experiments.core.worker import Complaint, Worker
from wavevit.checks import check_at_least, fail
from wavevit.progress import Progress

_PASSES = 3
_LONG = 0.1  # seconds


@dataclass
class TimingOptions(BenchmarkOptions):
    """Options of every benchmark that times contenders on the CPU."""

    quick: bool = False
    """Few rounds: to see that it runs, not to quote."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads, each timed on its own."""


class _Case(Protocol):
    """What is timed: hashable, picklable, and of images, signals or volumes of one shape."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def level(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


B = TypeVar("B")
C = TypeVar("C", bound=_Case)


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
    """A transform of this process, built for one case after the other and timed."""

    def __init__(self, build: Callable[[Any], Transform]) -> None:
        self._build = build
        self._case: Any = None
        self._transform: Transform | None = None
        self._run: Callable[[], object] | None = None
        self._passes = _PASSES

    def prepare(self, case: Any, shape: tuple[int, ...], backward: bool) -> Seen:
        """Builds the case unless it is the last one, makes images of this shape, and warms up."""
        if self._transform is None or case != self._case:
            torch.compiler.reset()  # what was compiled for another case
            self._case, self._transform = case, self._build(case)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
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
        """Seconds of one pass: of processor time at one thread, which other programs on the machine
        do not lengthen, of wall time at more."""
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        return clocked(lambda: self._repeat(self._passes), clock)() / self._passes


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
            pipe.send(Complaint.of(error))


class Alone:
    """A `Contender` in a fresh process.

    Args:
        name: for complaints.
        build: a picklable function that gives the transform for a case.
        threads: of torch, in that process.
    """

    def __init__(self, name: str, build: Callable[[Any], Transform], threads: int) -> None:
        self.name, self._worker = name, Worker(_serve, build, threads)

    def _ask(self, task: Any) -> Any:
        answer = self._worker.ask(task)
        if isinstance(answer, Complaint):
            fail(self.name, "a transform that runs", answer)
        return answer

    def prepare(self, case: Any, shape: tuple[int, ...], backward: bool) -> Seen:
        """As `Contender.prepare`."""
        return self._ask((case, shape, backward))

    def __call__(self) -> float:
        """Seconds of one pass."""
        return self._ask(None)

    def close(self) -> None:
        """Ends the process."""
        self._worker.close(patience=10.0)


def same_coefficients(case: Any, name: str, seen: Seen, ours: Seen) -> None:
    """Refuses coefficients that are not ours. Details are laid out differently by everyone: their
    energy must agree.

    Raises:
        ValueError: it does not.
    """
    errors = [abs(s - o) / (abs(o) or 1) for s, o in zip(seen[:2], ours[:2], strict=True)]
    error = max(*errors, abs(seen.direction - ours.direction))
    if not error < 1e-3:
        fail(name, "our coefficients to within 0.001", f"an error of {error:.2g}")


def installed(builders: Mapping[str, B], libraries: Iterable[str]) -> dict[str, B]:
    """Builders by name; of these libraries, those that are not installed are said and left out."""
    found = dict(builders)
    for name in libraries:
        if find_spec(name.replace("-", "_")) is None:
            print(f"{name} is left out: it is not installed")
            found.pop(name, None)
    return found


def check_threads(options: TimingOptions) -> None:
    """Refuses numbers of threads below 1."""
    for threads in options.threads:
        check_at_least("threads", threads, 1)


def _named(case: _Case) -> str:
    *names, level, shape = asdict(case).values()
    return f"{' '.join(map(str, names))} level {level} {'x'.join(map(str, shape))}"


def tell_cell(case: _Case, cell: dict[str, Any]) -> None:
    """Prints a cell."""
    multiple = ", ".join(f"{name} {value}" for name, value in cell["multiple_of_clone"].items())
    faster = cell.get("times_faster_than_best_library", "–")
    print(
        f"{_named(case)} {cell['pass']} x{cell['threads']}: {multiple}; faster {faster}", flush=True
    )


@dataclass(frozen=True)
class Comparison(Generic[C]):
    """Who is timed, and what is asked of them.

    Attributes:
        builders: a picklable function by contender that gives its transform for a case. The limit
            is one of them, and so is ours, the reference.
        serves: whether a contender has the transform of a case.
        best: from the seconds that `times` gave, how much faster we are than the best library.
        check: refuses wrong coefficients, by case and contender, beside the reference's.
        reference: the name of ours.
    """

    builders: Mapping[str, Callable[[C], Transform]]
    serves: Callable[[str, C], bool]
    best: Callable[[Mapping[str, Sequence[float]]], dict[str, Any]]
    check: Callable[[C, str, Seen, Seen], None] = same_coefficients
    reference: str = OURS[0]

    def _seconds(
        self, case: C, backward: bool, found: Mapping[str, Alone], rounds: int, budget: float
    ) -> dict[str, list[float]]:
        """By contender, round by round, of processes that are there."""
        serving = {name: each for name, each in found.items() if self.serves(name, case)}
        # The limit stays one copy: a backward pass is at best a second one.
        seen = {
            name: one.prepare(case, case.shape, backward and name != LIMIT)
            for name, one in serving.items()
        }
        for name in serving:
            if name != LIMIT:
                self.check(case, name, seen[name], seen[self.reference])
        return times(serving, rounds, budget)

    def _cell(
        self, seconds: Mapping[str, Sequence[float]], backward: bool, threads: int
    ) -> dict[str, Any]:
        """What a record says of the seconds that `times` gave."""
        return {
            "pass": "forward+backward" if backward else "forward",
            "threads": threads,
            "rounds": len(seconds[LIMIT]),
            "milliseconds": {n: round(1e3 * own, 4) for n, own in medians(seconds).items()},
            "multiple_of_clone": {n: round(r, 2) for n, r in multiples(seconds, LIMIT).items()},
            **self.best(seconds),
        }

    def cells(
        self,
        options: TimingOptions,
        cases: Sequence[C],
        budget: float,
        save: Callable[[list[dict[str, Any]]], None] = lambda cells: None,
    ) -> list[dict[str, Any]]:
        """The cells of a record: each case by each number of threads; after the first number of
        threads, cases of one level only.

        Args:
            options: the command line's.
            cases: what is timed.
            budget: as in `time`.
            save: called with the cells so far after each number of threads.
        """
        check_threads(options)
        rounds, found = 3 if options.quick else 11, []
        for threads in options.threads:
            chosen = [case for case in cases if threads == options.threads[0] or case.level == 1]
            for case, cell in self.time(chosen, threads, rounds, budget=budget, tell=tell_cell):
                found.append({**asdict(case), "shape": list(case.shape), **cell})
            save(found)
        return found

    def time(
        self,
        cases: Sequence[C],
        threads: int,
        rounds: int,
        *,
        processes: int = 1,
        budget: float = float("inf"),
        tell: Callable[[C, dict[str, Any]], None] = lambda case, cell: None,
    ) -> list[tuple[C, dict[str, Any]]]:
        """Times every contender on every case, forward and with backward.

        Args:
            cases: what is timed.
            threads: of each process.
            rounds: in which each contender is asked once.
            processes: how many each contender has, one after the other. Each meets the cases in
                another order, since one process may be lucky with its allocator.
            budget: seconds of a cell after which no new round begins, once there are three.
            tell: called with each cell when it is complete.

        Returns:
            Each case with its cell, once for each pass, over all rounds of all processes.

        Raises:
            ValueError: a contender that fails, or whose coefficients are wrong.
        """
        both = [(case, backward) for case in cases for backward in (False, True)]
        seconds: dict[tuple[C, bool], dict[str, list[float]]] = {key: {} for key in both}
        cells: dict[tuple[C, bool], dict[str, Any]] = {}
        with Progress([1.0] * (processes * len(both)), bar=False) as progress:
            for turn in range(processes):
                with ExitStack() as stack:
                    found = {}
                    for name, build in self.builders.items():
                        if any(self.serves(name, case) for case in cases):
                            found[name] = Alone(name, build, threads)
                            stack.callback(found[name].close)
                    first = 2 * (turn * len(cases) // processes)
                    for key in both[first:] + both[:first]:
                        progress.begin(f"{_named(key[0])} x{threads}")
                        for name, new in self._seconds(*key, found, rounds, budget).items():
                            seconds[key].setdefault(name, []).extend(new)
                        if turn == processes - 1:
                            cells[key] = self._cell(seconds[key], key[1], threads)
                            tell(key[0], cells[key])
                        progress.end()
        return [(key[0], cells[key]) for key in both]
