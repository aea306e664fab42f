"""A contender in a process of its own, as its users run it.

How long a transform takes depends on whether the allocator hands it pages that it touched before,
and in a shared process that depends on what the *other* contenders allocate: ptwt's forward pass
at (32,3,224,224) took 6 clones in one such run and 18 in the next. So each has its own process,
and the parent asks them in turn. It is asked for a few passes at a time, after a few that are not
timed: then its caches and its heap are as in a loop over batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import torch

from experiments.benchmarks.interleaved import Shape, Transform, one_pass
from wavevit.checks import fail

__all__ = ["Alone"]

_UNTIMED, _PASSES = 3, 3


def _serve(build: Callable[[], Transform], threads: int, pipe: Connection) -> None:
    """Answers until the parent hangs up: a shape and a pass to prepare, or None to time it."""
    torch.set_num_threads(threads)
    transform, run = None, None
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            transform = transform or build()
            if task is not None:
                shape, backward = task
                x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
                run = one_pass(transform, x, backward)
                for _ in range(_UNTIMED):
                    run()
                energy = sum(float(part.double().square().sum()) for part in transform(x))
                pipe.send(energy / float(x.double().square().sum()))
                continue
            assert run is not None
            begin = time.perf_counter()
            for _ in range(_PASSES):
                run()
            pipe.send((time.perf_counter() - begin) / _PASSES)
        except Exception as error:  # the parent raises it, with the contender's name
            pipe.send(f"{type(error).__name__}: {error}")


class Alone:
    """A transform that is built and run in a fresh process.

    Args:
        name: for complaints.
        build: a picklable function that gives the transform.
        threads: of torch, in that process.
    """

    def __init__(self, name: str, build: Callable[[], Transform], threads: int) -> None:
        self.name = name
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(build, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def _ask(self, task: Any) -> float:
        self._pipe.send(task)
        try:
            answer = self._pipe.recv()
        except EOFError:
            answer = "its process ended"
        if isinstance(answer, str):
            fail(self.name, "a transform that runs", answer)
        return answer

    def prepare(self, shape: Shape, backward: bool) -> float:
        """Makes images of this shape, warms up, and gives the coefficients' share of energy."""
        return self._ask((shape, backward))

    def __call__(self) -> float:
        """Seconds of one pass."""
        return self._ask(None)

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()
