"""Intervals hold what they promise: the truth lies in them 95 times of 100."""

from __future__ import annotations

import math

import pytest
import torch

from wavevit.measure.intervals import (
    mean_interval,
    median_interval,
    standard_error,
    wilson,
    worth,
)

GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("count", [3, 12])
def test_students_interval_covers_the_mean(count: int) -> None:
    found = [
        mean_interval(float(row.mean()), standard_error(row), count) for row in normal(2000, count)
    ]
    assert sum(low <= 0 <= high for low, high in found) / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("count", [6, 15, 40])
def test_order_statistics_cover_the_median(count: int) -> None:
    found = [median_interval(row.tolist()) for row in normal(2000, count)]
    assert sum(low <= 0 <= high for low, high in found) / 2000 >= 0.94


@pytest.mark.parametrize("share", [0.5, 0.97])
def test_wilsons_interval_covers_a_share_of_alike_draws(share: float) -> None:
    """Four draws of an image that all agree are worth one; four of their own are worth four."""
    threshold = torch.special.ndtri(torch.tensor(share, dtype=torch.float64))
    for alike in (True, False):
        covered, trials = 0, []
        for _ in range(500):
            hits = (normal(40, 1).expand(40, 4) if alike else normal(40, 4)) < threshold
            trials.append(worth(hits))
            low, high = wilson(100 * float(hits.double().mean()), trials[-1])
            covered += low <= 100 * share <= high
        assert covered / 500 >= 0.92
        assert sum(trials) / 500 == pytest.approx(
            40 if alike else 150, rel=0.15 + 0.5 * (not alike)
        )


def test_negative_control_draws_taken_as_independent_cover_too_little() -> None:
    covered = 0
    for _ in range(500):
        hits = (normal(40, 1) < 0).expand(40, 4)
        low, high = wilson(100 * float(hits.double().mean()), hits.numel())
        covered += low <= 50 <= high
    assert covered / 500 < 0.8


def test_intervals_of_too_few_values_are_infinite() -> None:
    assert mean_interval(3.0, math.inf, 1) == (-math.inf, math.inf)
    assert median_interval([1.0] * 5) == (-math.inf, math.inf)
    assert median_interval([3.0, 1, 2, 6, 5, 4]) == (1, 6)
    assert standard_error(torch.ones(1)) == math.inf
    low, high = wilson(100, 4)
    assert high == 100
    assert low < 60
