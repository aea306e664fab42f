"""A difference that bears on a claim: between two variants, or from a threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from experiments.claims.names import reader_name
from experiments.core.statistic import Statistic, number
from wavevit.checks import check_at_least, check_choice


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A paired difference, with all that is needed to judge it.

    Attributes:
        variant: what is compared, such as ``"conv_stem"``.
        baseline: with what, such as ``"vit"``; empty where there is a `threshold`.
        metric: what differs, such as ``"S-Cons"``.
        unit: of it; empty for a pure number.
        digits: decimals shown.
        difference: one value per pair: variant minus baseline, or value minus threshold.
        predicted: the sign that the claim predicts: ``"higher"``, ``"lower"``, or ``""`` for a
            figure that is shown and decides nothing.
        over: what the pairs are.
        threshold: that the claim sets for the variant's own value, where it sets one.
        looks: how often the difference was tested while pairs were added: 2 where seeds were added
            after a first test. Its p-value is multiplied by this number (Bonferroni), because each
            test is a chance of a false finding.
    """

    variant: str
    baseline: str = ""
    metric: str
    unit: str
    digits: int
    difference: Statistic
    predicted: str = ""
    over: str = "seeds"
    threshold: float | None = None
    looks: int = 1

    def __post_init__(self) -> None:
        check_choice("predicted", self.predicted, ("higher", "lower", ""))
        check_at_least("looks", self.looks, 1)

    @property
    def name(self) -> str:
        """The variant in words."""
        return reader_name(self.variant)

    @property
    def label(self) -> str:
        """What is compared with what, in words."""
        if self.threshold is None:
            return f"{self.name} against {reader_name(self.baseline)}"
        return f"{self.name}, threshold {f'{self.threshold:g} {self.unit}'.strip()}"

    @property
    def as_predicted(self) -> bool:
        """Whether the mean has the predicted sign."""
        return self.difference.mean > 0 if self.predicted == "higher" else self.difference.mean < 0

    @property
    def exact(self) -> bool:
        """Whether the difference holds by construction: each side is the same in every pair."""
        return self.difference.exact

    @property
    def p_value(self) -> float:
        """Of the paired t test, two-sided, times the number of looks. Without spread there is no
        such test: 0 for an exact difference that is not 0, else 1."""
        p = self.difference.p_value()
        if p is not None:
            return min(1.0, self.looks * p)
        return 0.0 if self.exact and self.difference.mean != 0 else 1.0

    @property
    def count(self) -> str:
        """How many pairs, and how many looks if there is more than one."""
        looks = f" ({self.looks} looks)" if self.looks > 1 else ""
        return f"{len(self.difference.values)} {self.over}{looks}"

    def on(self, data: str) -> Effect:
        """The same effect with the data in its name; without a name of the data as it is."""
        return replace(self, variant=f"{self.variant}, {data}") if data else self

    def amount(self, level: float = 0.95) -> str:
        """The difference, or the value beside its threshold, with its interval and unit."""
        start, signed = self.threshold or 0.0, self.threshold is None
        text = number(start + self.difference.mean, self.digits, signed)
        interval = self.difference.interval(level)
        if self.difference.std == 0 and len(self.difference.values) > 1:
            text += f" ({self.difference.untested()})"
        elif interval is not None:
            low, high = (number(start + end, self.digits, signed) for end in interval)
            text += f" [{low}, {high}]"
        return f"{text} {self.unit}".strip()
