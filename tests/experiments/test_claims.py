"""Verdicts: the rule, its statistics, and that it can come out every way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from experiments.claims.__main__ import commands
from experiments.claims.claim import Effect, Verdict, headline_effect, judge, outcomes
from experiments.claims.ledger import CLAIMS
from experiments.statistic import Statistic, holm


def effect(variant: str, *values: float, wanted: str = "lower") -> Effect:
    return Effect(
        variant=variant,
        baseline="vit",
        metric="R",
        unit="",
        digits=2,
        difference=Statistic.of(values),
        wanted=wanted,
    )


DOWN, UP, BOTH = (-1.0, -1.1, -0.9), (1.0, 1.1, 0.9), (-1.0, 2.0, -0.5)


@pytest.mark.parametrize(
    ("effects", "word", "detail"),
    [
        ([effect("a", *DOWN), effect("b", *DOWN)], "holds", ""),
        ([effect("a", *DOWN), effect("b", *BOTH)], "holds only if", "it is `a`"),
        ([effect("a", *DOWN), effect("b", *UP)], "holds only if", "it is `a`"),
        ([effect("a", *UP), effect("b", *BOTH)], "fails", "the opposite for `a`"),
        ([effect("a", *BOTH), effect("b", *BOTH)], "no effect found", ""),
        ([effect("a", *UP, wanted="higher")], "holds", ""),
        (
            [effect("a", *DOWN), effect("a", *BOTH)],
            "holds only if",
            "one asks about `a` − `vit` in R",
        ),
        ([effect("a", *DOWN), effect("b", *UP, wanted="")], "holds", ""),
    ],
)
def test_every_verdict_can_come_out(effects: list[Effect], word: str, detail: str) -> None:
    verdict = judge(effects)
    assert verdict.word == word
    if word == "no effect found":
        assert verdict.detail.startswith("3 seeds, `a` − `vit` +0.17 [−3.83, +4.16]")
    else:
        assert verdict.detail == detail


def test_many_contrasts_must_be_clearer() -> None:
    """What passes alone may not pass as the luckiest of five (Holm)."""
    lucky = effect("a", -1.0, -1.3, -0.6)
    assert 0.01 < lucky.p_value < 0.05
    assert judge([lucky]).word == "holds"
    rest = [effect(name, *BOTH) for name in "bcde"]
    assert outcomes([lucky, *rest])[0] == "not found"
    assert judge([lucky, *rest]).word == "no effect found"


def test_equal_values_are_laws_or_nothing() -> None:
    """Without spread there is no t test: the same difference in every seed counts, 0 does not."""
    assert judge([effect("a", -2.0, -2.0, -2.0)]).word == "holds"
    assert judge([effect("a", 0.0, 0.0, 0.0)]).word == "no effect found"
    assert judge([effect("a", -2.0)]).word == "no effect found"  # one seed says nothing


def test_the_headline_tells_what_decided() -> None:
    held, other, shown = effect("a", *DOWN), effect("b", *UP), effect("c", *DOWN, wanted="")
    assert headline_effect([shown, other, held]) is held
    assert headline_effect([shown, other]) is other
    assert headline_effect([shown]) is shown
    assert headline_effect([]) is None


def test_verdicts_are_words_of_the_ledger() -> None:
    with pytest.raises(ValueError, match="word: expected one of 'holds'"):
        Verdict("perhaps")
    with pytest.raises(ValueError, match="detail: expected words that complete 'holds only if'"):
        Verdict("holds only if")
    with pytest.raises(ValueError, match="effects: expected at least one with a wanted sign"):
        judge([effect("a", *DOWN, wanted="")])


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=9), st.integers(0, 2**31))
def test_the_paired_test_is_scipys(values: list[float], seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=len(values))
    statistic = Statistic.of([a - b for a, b in zip(values, other, strict=True)])
    assert statistic.p_value() == pytest.approx(ttest_rel(values, other).pvalue, rel=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()  # keeps the order


def test_what_a_few_seeds_can_see() -> None:
    """Simulated: at the difference that `detectable` names, four tests in five find it."""
    statistic = Statistic.of([-1.0, 0.0, 1.0])
    least = statistic.detectable()
    assert least is not None
    assert 3 < least < 3.5
    draws = np.random.default_rng(0).normal(least, 1.0, size=(4000, 3))
    found = [Statistic.of(row).p_value() < 0.05 for row in draws.tolist()]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
    assert Statistic.of([1.0]).detectable() is None
    assert Statistic.of([1.0, 1.0]).detectable() is None


def test_every_command_of_the_ledger_once_and_the_docs_last() -> None:
    found = commands(CLAIMS)
    assert len(set(found)) == len(found)
    assert found[-1] == "python -m experiments.report"
    for claim in CLAIMS:
        assert claim.command in found, claim.id
    runs = [c.split()[3] for c in found if c.startswith("python -m experiments.run ")]
    for study in runs:
        ran = found.index(f"python -m experiments.run {study}")
        assert found.index(f"python -m experiments.report {study} --record") > ran
    measured = [
        i for i, c in enumerate(found) if c.startswith("python -m experiments.measurements")
    ]
    assert min(measured) > found.index("python -m experiments.run backbones")  # theirs to measure
    assert min(measured) > found.index("python -m experiments.run capacity")
