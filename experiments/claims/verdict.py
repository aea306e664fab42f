"""The rule that turns the effects of a claim into its verdict.

One rule gives the verdict, the p-values and the intervals. The effects that decide a claim are
tested together by Holm's procedure at 5 %. An effect's interval has the level at which that
procedure tests it. So an interval leaves out 0 exactly when the adjusted p-value is at most 0.05.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.claims.effect import Effect
from experiments.core.statistic import holm, number
from wavevit.checks import check_choice, fail

VERDICTS = ("supported", "refuted", "mixed", "inconclusive", "not measured")
LEVEL = 0.05


@dataclass(frozen=True)
class Judged:
    """An effect that decides a claim, tested together with the others.

    Attributes:
        effect: the difference.
        p_value: adjusted (Holm).
        level: of the effect's interval, such as 0.975.
        outcome: ``"supported"``, ``"refuted"`` or ``"inconclusive"``.
    """

    effect: Effect
    p_value: float
    level: float
    outcome: str

    def amount(self) -> str:
        """The effect with the interval that belongs to its p-value."""
        return self.effect.amount(self.level)

    def detectable(self) -> float | None:
        """The true difference that this test finds with 80 % power; None without spread."""
        return self.effect.difference.detectable(level=1 - self.level)


@dataclass(frozen=True)
class Verdict:
    """What the records allow to say about a claim.

    Attributes:
        word: one of `VERDICTS`.
        detail: for what, or what was found.
        partial: the word holds for some of what was tested, and the rest is inconclusive.
    """

    word: str
    detail: str = ""
    partial: bool = False

    def __post_init__(self) -> None:
        check_choice("word", self.word, VERDICTS)
        if self.partial and not (self.word in ("supported", "refuted") and self.detail):
            got = f"{self.word!r} with detail {self.detail!r}"
            fail("partial", "True only for 'supported' or 'refuted' with a detail", got)
        if self.word != "supported" and not self.detail:
            fail("detail", f"words that explain {self.word!r}", "none")

    def text(self, data: str = "") -> str:
        """The verdict as a phrase, with the data that it was measured on."""
        on = f" on {data}" if data and self.word != "not measured" else ""
        joint = ", " if self.detail.startswith("for ") else ": "
        word = f"{self.word} in part" if self.partial else self.word
        return f"**{word}**{on}" + (f"{joint}{self.detail}" if self.detail else "")


def judged(effects: Iterable[Effect]) -> tuple[Judged, ...]:
    """Tests the effects that decide a claim together; those without a prediction are left out.

    Guarantees:
        An interval leaves out 0 if and only if the adjusted p-value is at most `LEVEL`
        (tests/experiments/test_claims.py).
    """
    deciding = [effect for effect in effects if effect.predicted]
    adjusted = holm([effect.p_value for effect in deciding])
    order = sorted(range(len(deciding)), key=lambda i: deciding[i].p_value)
    found: dict[int, Judged] = {}
    tests = len(deciding)  # that share the 5 %: Holm's step, which stops at the first failure
    for rank, index in enumerate(order):
        effect, p = deciding[index], adjusted[index]
        if all(one.p_value <= LEVEL for one in found.values()):
            tests = len(deciding) - rank
        level = 1 - LEVEL / (tests * effect.looks)
        outcome = "inconclusive"
        if p <= LEVEL:
            outcome = "supported" if effect.as_predicted else "refuted"
        found[index] = Judged(effect, p, level, outcome)
    return tuple(found[index] for index in range(len(deciding)))


def listed(names: Sequence[str]) -> str:
    """``"a, b and c"``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def common_rule(sign: str) -> str:
    """`judge` in words, for differences that are predicted ``"above"`` or ``"below"`` 0."""
    opposite = {"above": "below", "below": "above"}[sign]
    return (
        f"Supported for each difference that is {sign} 0, refuted for each that is {opposite} 0 "
        "(paired t tests, Holm-adjusted together, 5 %); mixed if both occur, in part if the others "
        "are inconclusive, inconclusive if no difference is significant."
    )


def _named(chosen: Sequence[Judged], every: Sequence[Judged]) -> str:
    """What some of the effects are about: variants, and the metric where it tells them apart."""
    one_baseline = len({(one.effect.baseline, one.effect.threshold) for one in every}) == 1

    def by_metric(some: Sequence[Judged]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in some:
            names = found.setdefault(one.effect.metric, [])
            name = one.effect.name if one_baseline else one.effect.label
            if name not in names:
                names.append(name)
        return found

    own, whole = by_metric(chosen), by_metric(every)
    alike = len({tuple(names) for names in own.values()}) == 1
    if alike and len(own) == len(whole):
        return listed(next(iter(own.values())))
    parts = [
        metric if names == whole[metric] else f"{metric} of {listed(names)}"
        for metric, names in own.items()
    ]
    *others, last = parts
    return ", for ".join(others) + f", and for {last}" if others else last


def judge(effects: Sequence[Effect]) -> Verdict:
    """The common rule.

    "supported" if every deciding effect has the predicted sign, and in part if some do and the
    others are inconclusive; "refuted", or refuted in part, if they have the opposite sign; "mixed"
    if both signs occur; "inconclusive" if no effect is significant.

    Raises:
        ValueError: no effect has a predicted sign.
    """
    every = judged(effects)
    if not every:
        fail("effects", "at least one with a predicted sign", "none")
    groups = {
        outcome: [one for one in every if one.outcome == outcome]
        for outcome in ("supported", "refuted", "inconclusive")
    }
    if len(groups["supported"]) == len(every):
        return Verdict("supported")
    if len(groups["inconclusive"]) == len(every):
        return Verdict("inconclusive", _inconclusive(every))
    word = next(name for name, group in groups.items() if group)
    parts = [f"{name} for {_named(group, every)}" for name, group in groups.items() if group]
    if groups["supported"] and groups["refuted"]:
        return Verdict("mixed", "; ".join(parts))
    parts[0] = parts[0].removeprefix(f"{word} ")
    return Verdict(word, "; ".join(parts), partial=bool(groups["inconclusive"]))


def _inconclusive(every: Sequence[Judged]) -> str:
    """The clearest effect, its interval, and the smallest effect that the test would find."""
    clearest = min(every, key=lambda one: one.effect.p_value)
    effect, least = clearest.effect, clearest.detectable()
    text = f"the clearest effect is {clearest.amount()} ({effect.metric}, {effect.label})"
    if len(effect.difference.values) == 1:
        return f"{text}; one pair cannot be tested"
    if least is None:  # the amount says that there is no spread to test with
        return text
    text += f", adjusted p = {clearest.p_value:.2f}"
    least_text = f"{number(least, effect.digits)} {effect.unit}".strip()
    return (
        f"{text}; with {effect.count}, this test would find a true difference of {least_text} "
        "with 80 % power"
    )


def headline_effect(effects: Sequence[Effect]) -> Judged | None:
    """The effect to show beside a verdict: the first that is supported, else the first that is
    refuted, else the one with the smallest p-value; None where no effect decides."""
    every = judged(effects)
    for outcome in ("supported", "refuted"):
        for one in every:
            if one.outcome == outcome:
                return one
    return min(every, key=lambda one: one.effect.p_value, default=None)
