"""Benchmarks: cost, speed and exactness of the library, beside others' where there are any.

A module holds one `experiments.core.benchmark.Benchmark`; nothing else lists it.
"""
