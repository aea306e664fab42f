"""Benchmarks: cost, speed and exactness of the library, beside others' where there are any.

A module holds one `experiments.core.benchmark.Benchmark`; nothing else lists it.
"""

from __future__ import annotations

from experiments.core.benchmark import Benchmark
from experiments.core.registry import found_in

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = found_in(__name__, __path__, Benchmark)
