"""Figures over seeds, and what a handful of them allow to say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student_t

_ROUNDING = 1e-12  # of float64, with room for a difference of two larger figures
_EXACT_PAIRS = 3  # two pairs are too few: values repeat by chance
_SHARES = ("%", "points")


@dataclass(frozen=True)
class Statistic:
    """A figure over seeds: mean and sample standard deviation (0 for a single seed).

    Where the values are differences of pairs (`paired`), `p_value` is the paired t test and
    `effect_size` is Cohen's d of the pairs.

    Attributes:
        mean: of the values.
        std: their sample standard deviation.
        values: one per seed.
        exact: of a difference: each side has one and the same value in all of at least 3 pairs,
            as something that holds by construction has, and the values are no percentages. A
            percentage of examples moves in steps, and stays at 0 or 100 where more would be seen
            on a harder test: its values repeat by chance. So do differences that are the same in
            every pair while the sides vary.
    """

    mean: float
    std: float
    values: tuple[float, ...]
    exact: bool = False

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistic:
        """Of at least one value. A spread of nothing but rounding counts as 0."""
        spread = stdev(values) if len(values) > 1 else 0.0
        if spread <= _ROUNDING * max(map(abs, values)):
            spread = 0.0
        return cls(fmean(values), spread, tuple(values))

    @classmethod
    def paired(cls, own: Sequence[float], other: Sequence[float], unit: str) -> Statistic:
        """The differences of at least one pair, own minus other.

        Args:
            own: one value a pair.
            other: as many.
            unit: of the values; percentages (``"%"``, ``"points"``) are never exact.
        """
        found = cls.of([a - b for a, b in zip(own, other, strict=True)])
        alike = cls.of(own).std == 0 and cls.of(other).std == 0
        enough = len(found.values) >= _EXACT_PAIRS and unit not in _SHARES
        return replace(found, exact=alike and enough)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Confidence interval of the mean (Student's t); None for a single value. Of values without
        spread it has no width; as an interval of a difference it then says nothing."""
        count = len(self.values)
        if count < 2:
            return None
        half = float(student_t.isf((1 - level) / 2, count - 1)) * self.std / count**0.5
        return self.mean - half, self.mean + half

    def ends(self) -> tuple[float, float]:
        """The ends of the 95 % interval; of a single value, that value twice."""
        return self.interval() or (self.mean, self.mean)

    def p_value(self) -> float | None:
        """Two-sided t test of "the mean is 0"; None where it does not apply: a single value, or
        values that are all the same and so leave no spread to compare the mean with."""
        count = len(self.values)
        if count < 2 or self.std == 0:
            return None
        return 2 * float(student_t.sf(abs(self.mean) / (self.std / count**0.5), count - 1))

    def effect_size(self) -> float | None:
        """Mean in standard deviations (Cohen's d of paired differences); None without spread."""
        return self.mean / self.std if self.std > 0 else None

    def detectable(self, power: float = 0.8, level: float = 0.05) -> float | None:
        """Minimum detectable effect: the true mean that the test finds with this power.

        With three values it is about 3 standard deviations: three seeds find large effects only.

        Args:
            power: the share of repetitions in which the test finds it.
            level: the significance level of the two-sided test.

        Returns:
            The true mean, given the spread of these values; None without spread.
        """
        count = len(self.values)
        if count < 2 or self.std == 0:
            return None
        # The other tail of the test is next to 0. statsmodels adds it, and stops at its nan with a
        # wrong effect (findings/statsmodels_power_of_few_pairs.sh).
        limit = float(student_t.isf(level / 2, count - 1))

        def missing(shift: float) -> float:
            return float(nct.sf(limit, count - 1, shift)) - power

        return float(brentq(missing, 1e-6, 10 + 10 * limit)) * self.std / math.sqrt(count)

    def direction(self) -> str:
        """The sign that a paired difference over seeds has, if its interval has one, or if it is
        exact."""
        interval = self.interval()
        if interval is None:
            return "one seed: no statement"
        if interval[0] <= 0 <= interval[1] or (self.std == 0 and not self.exact):
            return "inconclusive"
        return "higher" if self.mean > 0 else "lower"

    def text(self, digits: int) -> str:
        """``mean ± std``."""
        return f"{self.mean:.{digits}f} ± {self.std:.{digits}f}"

    def shown(self, digits: int) -> str:
        """`text`; of a single value, which has no spread, that value alone."""
        return self.text(digits) if len(self.values) > 1 else f"{self.mean:.{digits}f}"

    def change(self, digits: int) -> str:
        """A difference with its 95 % interval, such as ``"+1.2 (−0.3 to +2.7)"``; without spread
        there is no interval, and `untested` says why."""
        mean = number(self.mean, digits, signed=True)
        if self.std == 0:
            return f"{mean} ({self.untested()})"
        low, high = (number(end, digits, signed=True) for end in self.ends())
        return f"{mean} ({low} to {high})"

    def untested(self) -> str:
        """Why a difference without spread has no t test, or is exact."""
        count = len(self.values)
        if count == 1:
            return "one seed: no statement"
        return "exact" if self.exact else f"the same in {count} pairs: no test possible"


def number(value: float, digits: int, signed: bool = False) -> str:
    """A number as the pages show it, with a true minus."""
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment: the chance of *any* false finding among these stays below the
    level that the adjusted values are compared with.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
