"""What a claim is, and by which rule a verdict follows from its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from experiments.statistic import Statistic, holm
from wavevit.checks import check_choice, fail

__all__ = [
    "VERDICTS",
    "Claim",
    "Effect",
    "Finding",
    "Verdict",
    "headline_effect",
    "judge",
    "outcomes",
]

VERDICTS = ("holds", "holds only if", "fails", "no effect found", "not measured")
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A difference that bears on a claim, with all that is needed to judge it.

    Attributes:
        variant: what is compared, such as ``"conv_stem"``.
        baseline: with what, such as ``"vit"``.
        metric: what differs, such as ``"S-Cons"``.
        unit: of it; empty for a pure number.
        digits: decimals shown.
        difference: one value per pair.
        wanted: the sign that the claim foretells: ``"higher"``, ``"lower"``, or ``""`` for a figure
            that is shown and decides nothing.
        over: what the pairs are.
    """

    variant: str
    baseline: str
    metric: str
    unit: str
    digits: int
    difference: Statistic
    wanted: str = ""
    over: str = "seeds"

    def __post_init__(self) -> None:
        check_choice("wanted", self.wanted, ("higher", "lower", ""))

    @property
    def label(self) -> str:
        """The difference, in code spans."""
        return f"`{self.variant}` − `{self.baseline}`"

    @property
    def as_claimed(self) -> bool:
        """Whether the mean has the foretold sign."""
        return self.difference.mean > 0 if self.wanted == "higher" else self.difference.mean < 0

    @property
    def p_value(self) -> float:
        """Of the paired t test. Equal values leave no spread to test with: 0 where they differ
        from 0 in every pair alike, as exact laws do, and 1 where they are 0 or a single one."""
        p = self.difference.p_value()
        if p is not None:
            return p
        return 0.0 if len(self.difference.values) > 1 and self.difference.mean != 0 else 1.0

    @property
    def count(self) -> str:
        """How many pairs."""
        return f"{len(self.difference.values)} {self.over}"

    def amount(self) -> str:
        """Mean difference with its 95 % interval and unit."""
        mean, interval, digits = self.difference.mean, self.difference.interval(), self.digits
        text = f"{mean:+.{digits}f}"
        if interval is not None:
            text += f" [{interval[0]:+.{digits}f}, {interval[1]:+.{digits}f}]"
        return f"{text} {self.unit}".strip().replace("-", "−")


@dataclass(frozen=True)
class Verdict:
    """What the record says of a claim.

    Attributes:
        word: one of `VERDICTS`.
        detail: what completes it: the condition, or n and interval.
    """

    word: str
    detail: str = ""

    def __post_init__(self) -> None:
        check_choice("word", self.word, VERDICTS)
        if self.word in ("holds only if", "not measured") and not self.detail:
            fail("detail", f"words that complete {self.word!r}", "none")

    def text(self) -> str:
        """The verdict as a phrase."""
        if self.word == "holds only if":
            return f"**holds only if** {self.detail}"
        return f"**{self.word}**" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Finding:
    """What a record gives for a claim.

    Attributes:
        verdict: by the claim's rule.
        effects: what it rests on, the one that the ledger shows first.
        body: Markdown for the page, tables and sentences, every number out of the record.
    """

    verdict: Verdict
    effects: tuple[Effect, ...]
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One line of the ledger.

    Attributes:
        id: ``"C1"``.
        sentence: of the intuition (DESIGN, section 7).
        hypothesis: what could be found false.
        test: study or measurement, contrasts and metric, in words.
        rule: how the verdict follows from the record, in words.
        records: files below ``experiments/records/``; a ``summary.json`` is given to `find` as a
            `StudySummary`, other JSON as plain data.
        command: that makes the record anew.
        find: applies the rule: records by name to a finding.
        draw: the page's figure; by default the effects with their intervals.
        alt: what the figure shows, for those who do not see it.
        missing: why there is no record, where there is none.
    """

    id: str
    sentence: str
    hypothesis: str
    test: str
    rule: str
    records: tuple[str, ...]
    command: str
    find: Callable[[Mapping[str, Any]], Finding]
    draw: Callable[[Mapping[str, Any], Finding], Figure] | None = None
    alt: str = "Each difference with its 95 % interval"
    missing: str = ""

    @property
    def name(self) -> str:
        """``"c01"``: of its page and its figure."""
        return f"c{int(self.id[1:]):02d}"


def outcomes(effects: Sequence[Effect]) -> tuple[str, ...]:
    """``"as claimed"``, ``"against"`` or ``"not found"`` for each of the effects that decide.

    Their p values are adjusted together (Holm), so that a claim with many contrasts is not proved
    by the luckiest.
    """
    found = []
    for effect, p in zip(effects, holm([e.p_value for e in effects]), strict=True):
        if p > LEVEL:
            found.append("not found")
        else:
            found.append("as claimed" if effect.as_claimed else "against")
    return tuple(found)


def judge(effects: Sequence[Effect], condition: str = "it is") -> Verdict:
    """The common rule; `condition` introduces the variants of an "only if".

    "Holds" if every deciding effect is as claimed; "holds only if", with the variants all of whose
    effects are, or else with the effects that are; "fails" if none is and at least one goes the
    other way; "no effect found" if all could be 0.
    """
    deciding = [effect for effect in effects if effect.wanted]
    if not deciding:
        fail("effects", "at least one with a wanted sign", "none")
    found = list(zip(deciding, outcomes(deciding), strict=True))
    held = [effect for effect, outcome in found if outcome == "as claimed"]
    if len(held) == len(deciding):
        return Verdict("holds")
    if held:
        short = {effect.variant for effect, outcome in found if outcome != "as claimed"}
        whole = dict.fromkeys(e.variant for e in held if e.variant not in short)
        if whole:
            return Verdict("holds only if", f"{condition} {' or '.join(f'`{v}`' for v in whole)}")
        parts = (f"{effect.label} in {effect.metric}" for effect in held)
        return Verdict("holds only if", f"one asks about {' or '.join(parts)}")
    against = [effect for effect, outcome in found if outcome == "against"]
    if against:
        names = dict.fromkeys(f"`{effect.variant}`" for effect in against)
        return Verdict("fails", f"the opposite for {', '.join(names)}")
    clearest = min(deciding, key=lambda effect: effect.p_value)
    detail = f"{clearest.count}, {clearest.label} {clearest.amount()}"
    adjusted = min(holm([effect.p_value for effect in deciding]))
    if len(deciding) > 1:  # an interval may leave 0 out that the adjusted test keeps in
        detail += f", adjusted p = {adjusted:.2f}"
    return Verdict("no effect found", detail)


def headline_effect(effects: Sequence[Effect]) -> Effect | None:
    """The effect that a verdict is told with: as claimed if there is one, else against the claim,
    else the one with the smallest p of those that decide; None where there are none."""
    deciding = [effect for effect in effects if effect.wanted]
    found = outcomes(deciding)
    for wanted in ("as claimed", "against"):
        for effect, outcome in zip(deciding, found, strict=True):
            if outcome == wanted:
                return effect
    return min(deciding or effects, key=lambda effect: effect.p_value, default=None)
