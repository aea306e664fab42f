"""A contender of a benchmark in this process: quick, for tests of what is not its isolation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experiments.benchmarks.alone import Contender
from experiments.benchmarks.interleaved import Transform

__all__ = ["Here"]


class Here(Contender):
    """Stands for `experiments.benchmarks.alone.Alone`, whose process takes seconds to start."""

    def __init__(self, name: str, build: Callable[[Any], Transform], threads: int) -> None:
        super().__init__(build)

    def close(self) -> None:
        """Nothing to end."""
