"""95 % intervals of means, shares and medians, and effective sample size.

A mean over images gets Student's interval, a share Wilson's, a median the order statistics around
it. Images count as independent samples. Several samples of one image are not independent and
count for less (`worth`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from wavevit.checks import check_at_least, require_extra

__all__ = ["Interval", "mean_interval", "median_interval", "standard_error", "wilson", "worth"]

#: Lower and upper end.
Interval = tuple[float, float]

_NORMAL = 1.959963984540054  # both tails together have 5 %


def standard_error(values: Tensor) -> float:
    """Standard error of the mean of (N,) values; infinite for one value."""
    count = len(values)
    return float(values.double().std()) / math.sqrt(count) if count > 1 else math.inf


def mean_interval(mean: float, stderr: float, count: int) -> Interval:
    """Student's interval of a mean of `count` values; the whole line for one value."""
    if count < 2:
        return -math.inf, math.inf
    require_extra("scipy", "audit")
    from scipy.special import stdtrit  # here, so that importing the measures stays light

    half = float(stdtrit(count - 1, 0.975)) * stderr
    return mean - half, mean + half


def wilson(percent: float, trials: float) -> Interval:
    """Wilson's score interval of a share, in percent.

    Args:
        percent: the share that was found.
        trials: independent ones; a fraction where draws depend on each other.

    Source:
        Wilson 1927. Within [0, 100], and wide open at both ends where few trials all agree.
    """
    share, z = percent / 100, _NORMAL
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / scale
    return 100 * max(middle - half, 0.0), 100 * min(middle + half, 1.0)


def worth(hits: Tensor) -> float:
    """Effective sample size (Kish) of samples (images, samples), from images to all samples.

    This is the number of samples divided by the design effect: the variance of the mean between
    images over its value for independent samples. If all samples agree, the design effect is not
    known, and they count as one for each image.

    Source:
        Kish 1965.
    """
    images, draws = hits.shape
    share = float(hits.double().mean())
    if images < 2 or share in (0.0, 1.0):
        return float(images)
    between = standard_error(hits.double().mean(dim=1)) ** 2
    effect = between / (share * (1 - share) / hits.numel())
    return hits.numel() / min(max(effect, 1.0), float(draws))


def median_interval(values: Sequence[float]) -> Interval:
    """From one order statistic to another, with the median between them in 95 % of samples.

    Distribution-free. For fewer than six values no such interval exists, and the result is the
    whole line.
    """
    ordered = sorted(values)
    count = check_at_least("number of values", len(ordered), 1)
    tail, rank = 0.0, 0
    while (tail := tail + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    if rank == 0:
        return -math.inf, math.inf
    return float(ordered[rank - 1]), float(ordered[count - rank])
