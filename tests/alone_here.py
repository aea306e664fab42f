"""A contender of a benchmark in this process: quick, for tests of what is not its isolation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from experiments.benchmarks.alone import Seen, _seen
from experiments.benchmarks.interleaved import Shape, Transform, one_pass
from wavevit.checks import fail

__all__ = ["Here"]


class Here:
    """Stands for `experiments.benchmarks.alone.Alone`, whose process takes seconds to start."""

    def __init__(self, name: str, build: Callable[[Any], Transform], threads: int) -> None:
        self.name, self.build = name, build

    def prepare(self, case: Any, shape: Shape, backward: bool) -> Seen:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        try:
            transform = self.build(case)
            self.run = one_pass(transform, x, backward)
            return _seen(x, transform(x))
        except Exception as error:
            fail(self.name, "a transform that runs", f"{type(error).__name__}: {error}")

    def __call__(self) -> float:
        begin = time.perf_counter()
        self.run()
        return time.perf_counter() - begin

    def close(self) -> None:
        pass
