"""Verdicts: the rule, its statistics, and that it can come out every way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from experiments.claims.__main__ import commands
from experiments.claims.effect import Effect
from experiments.claims.ledger import CLAIMS
from experiments.claims.measured import above, between
from experiments.claims.names import reader_name
from experiments.claims.verdict import (
    LEVEL,
    VERDICTS,
    Verdict,
    headline_effect,
    judge,
    judged,
)
from experiments.core.statistic import Statistic, holm
from experiments.measurements import MEASUREMENTS


def effect(
    variant: str,
    *values: float,
    predicted: str = "lower",
    metric: str = "R",
    threshold: float | None = None,
    looks: int = 1,
) -> Effect:
    return Effect(
        variant=variant,
        baseline="" if threshold is not None else "vit",
        metric=metric,
        unit="",
        digits=2,
        difference=Statistic.of(values),
        predicted=predicted,
        threshold=threshold,
        looks=looks,
    )


DOWN, UP, BOTH = (-1.0, -1.1, -0.9), (1.0, 1.1, 0.9), (-1.0, 2.0, -0.5)


@pytest.mark.parametrize(
    ("effects", "text"),
    [
        ([effect("a", *DOWN), effect("b", *DOWN)], "**supported**"),
        ([effect("a", *UP, predicted="higher")], "**supported**"),
        (
            [effect("a", *DOWN), effect("b", *BOTH)],
            "**supported in part**, for a; inconclusive for b",
        ),
        ([effect("a", *DOWN), effect("b", *UP)], "**mixed**: supported for a; refuted for b"),
        (
            [effect("a", *DOWN), effect("b", *UP), effect("c", *BOTH)],
            "**mixed**: supported for a; refuted for b; inconclusive for c",
        ),
        ([effect("a", *UP), effect("b", *BOTH)], "**refuted in part**, for a; inconclusive for b"),
        (
            [effect("a", *DOWN), effect("a", *BOTH, metric="top-1")],
            "**supported in part**, for R; inconclusive for top-1",
        ),
        (
            [effect(v, *DOWN, metric=m) for v in "ab" for m in ("R", "top-1")]
            + [effect("c", *BOTH, metric=m) for m in ("R", "top-1")],
            "**supported in part**, for a and b; inconclusive for c",
        ),
        (
            [effect("a", *DOWN), effect("b", *BOTH), effect("a", *BOTH, metric="top-1")],
            "**supported in part**, for R of a; inconclusive for R of b, and for top-1",
        ),
        ([effect("a", *DOWN), effect("b", *UP, predicted="")], "**supported**"),
    ],
)
def test_every_verdict_can_come_out(effects: list[Effect], text: str) -> None:
    assert judge(effects).text() == text


def test_inconclusive_states_effect_interval_and_detectable_effect() -> None:
    verdict = judge([effect("a", *BOTH)])
    assert verdict.word == "inconclusive"
    least = Statistic.of(BOTH).detectable()
    assert least is not None
    assert verdict.detail == (
        "the clearest effect is +0.17 [−3.83, +4.16] (R, a against plain ViT), adjusted p = 0.87; "
        f"with 3 seeds, this test would find a true difference of {least:.2f} with 80 % power"
    )


def test_verdict_names_its_data() -> None:
    verdict = judge([effect("a", *DOWN)])
    assert verdict.text("18 photographs") == "**supported** on 18 photographs"
    assert Verdict("not measured", "why").text("18 photographs") == "**not measured**: why"


def test_more_comparisons_need_a_smaller_p_value() -> None:
    """A difference that is significant alone may not be the luckiest of five (Holm)."""
    lucky = effect("a", -1.0, -1.3, -0.6)
    assert 0.01 < lucky.p_value < 0.05
    assert judge([lucky]).word == "supported"
    rest = [effect(name, *BOTH) for name in "bcde"]
    assert judged([lucky, *rest])[0].outcome == "inconclusive"
    assert judge([lucky, *rest]).word == "inconclusive"


@given(
    st.lists(
        st.lists(st.integers(-20, 20), min_size=3, max_size=3).filter(lambda v: len(set(v)) > 1),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.integers(1, 3), min_size=7, max_size=7),
)
def test_interval_leaves_out_zero_exactly_when_significant(
    values: list[list[int]], looks: list[int]
) -> None:
    """Verdict, p-value and interval follow from one rule, also where pairs were added."""
    effects = [effect(f"v{i}", *map(float, own), looks=looks[i]) for i, own in enumerate(values)]
    every = judged(effects)
    assert [one.p_value for one in every] == list(holm([e.p_value for e in effects]))
    for one in every:
        interval = one.effect.difference.interval(one.level)
        assert interval is not None
        if abs(one.p_value - LEVEL) < 1e-9:
            continue  # the border itself is a matter of rounding
        significant = one.outcome != "inconclusive"
        assert significant == (one.p_value <= LEVEL)
        assert significant == (interval[0] > 0 or interval[1] < 0)


def test_second_look_doubles_the_p_value_and_widens_the_interval() -> None:
    """A difference that is significant at the first look alone is not at the second of two."""
    values = (-1.0, -1.3, -0.6)
    once, twice = effect("a", *values), effect("a", *values, looks=2)
    assert twice.p_value == pytest.approx(2 * once.p_value)
    assert once.p_value < LEVEL < twice.p_value
    assert (judge([once]).word, judge([twice]).word) == ("supported", "inconclusive")
    assert judged([once])[0].level == pytest.approx(1 - LEVEL)
    assert judged([twice])[0].level == pytest.approx(1 - LEVEL / 2)
    assert (once.count, twice.count) == ("3 seeds", "3 seeds (2 looks)")
    assert effect("a", *BOTH, looks=2).p_value == 1  # a probability is at most 1
    with pytest.raises(ValueError, match="looks: expected"):
        effect("a", *values, looks=0)


def test_adjusted_and_plain_intervals_can_disagree() -> None:
    """Negative control: with 95 % intervals the property above does not hold."""
    lucky = effect("a", -1.0, -1.3, -0.6)
    one = judged([lucky, *(effect(name, *BOTH) for name in "bcde")])[0]
    interval = one.effect.difference.interval()
    assert interval is not None
    assert interval[1] < 0
    assert one.outcome == "inconclusive"


def test_difference_between_constant_sides_is_exact() -> None:
    """Without spread there is no t test. A law fixes both sides: its difference counts."""
    exact = between("a", (0.0,) * 3, "vit", (2.0,) * 3, "R", digits=2, predicted="lower")
    assert judge([exact]).word == "supported"
    assert exact.amount() == "−2.00 (exact)"
    same = judge([between("a", (2.0,) * 3, "vit", (2.0,) * 3, "R", digits=2, predicted="lower")])
    assert same.text() == (
        "**inconclusive**: the clearest effect is +0.00 (exact) (R, a against plain ViT)"
    )


@pytest.mark.parametrize("values", [(100.0,) * 3, (0.0,) * 3, (97.2,) * 3])
@pytest.mark.parametrize("unit", ["%", "points"])
def test_percentages_without_spread_do_not_count(unit: str, values: tuple[float, ...]) -> None:
    """At 0 or 100 the measure has no room for a spread; between, its steps are of one example."""
    for other in (98.6, 0.0):
        found = between("a", values, "vit", (other,) * 3, "top-1", unit=unit, predicted="higher")
        assert judge([found]).word == "inconclusive"
        assert "the same in 3 pairs: no test possible" in found.amount()
    found = above("a", values, 90.0, "top-1", unit=unit)
    assert judge([found]).word == "inconclusive"


def test_equal_differences_of_varying_sides_do_not_count() -> None:
    """Negative control: a coarse metric repeats a difference by chance, and two constant pairs are
    too few."""
    chance = between("a", (1.0, 2.0, 3.0), "vit", (3.0, 4.0, 5.0), "R", digits=2, predicted="lower")
    few = between("a", (0.0, 0.0), "vit", (2.0, 2.0), "R", digits=2, predicted="lower")
    for found, pairs in ((chance, 3), (few, 2)):
        assert found.p_value == 1
        assert found.difference.direction() == "inconclusive"
        assert judge([found]).text() == (
            f"**inconclusive**: the clearest effect is −2.00 (the same in {pairs} pairs: no test "
            "possible) (R, a against plain ViT)"
        )


def test_single_pair_is_inconclusive() -> None:
    single = judge([effect("a", -2.0)])  # one seed cannot be tested
    assert single.word == "inconclusive"
    assert single.detail.endswith("one pair cannot be tested")


def test_threshold_effect_shows_value_beside_threshold() -> None:
    found = effect("none, 1 px", 0.3, 0.4, 0.5, predicted="higher", threshold=0.1)
    assert found.label == "no positions (1 px), threshold 0.1"
    assert found.amount().startswith("0.50 [0.25, 0.75]")


def test_headline_is_the_effect_that_decided() -> None:
    held, other, shown = effect("a", *DOWN), effect("b", *UP), effect("c", *DOWN, predicted="")
    for effects, wanted in (([shown, other, held], held), ([shown, other], other)):
        one = headline_effect(effects)
        assert one is not None
        assert one.effect is wanted
    assert headline_effect([shown]) is None
    assert headline_effect([]) is None


def test_bad_verdicts_are_refused() -> None:
    with pytest.raises(ValueError, match="word: expected one of 'supported'"):
        Verdict("perhaps")
    for word in VERDICTS[1:]:
        with pytest.raises(ValueError, match=f"detail: expected words that explain '{word}'"):
            Verdict(word)
    for word, detail in (("mixed", "for a"), ("supported", "")):
        with pytest.raises(ValueError, match="partial: expected True only for 'supported'"):
            Verdict(word, detail, partial=True)
    with pytest.raises(ValueError, match="effects: expected at least one with a predicted sign"):
        judge([effect("a", *DOWN, predicted="")])


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        ("vit", "plain ViT"),
        ("haar_pyramid + phase_lock", "Haar pyramid with phase lock"),
        ("dwt, linear, trained", "linear Haar tokens (trained)"),
        ("learned, trained, 1 px", "learned positions (trained, 1 px)"),
        ("stride-free, zero borders", "stride-free network with zero padding"),
        ("720 steps", "720 steps"),
    ],
)
def test_reader_names(variant: str, name: str) -> None:
    assert reader_name(variant) == name


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


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_detectable_effect_is_found_in_four_of_five_simulated_tests(level: float) -> None:
    statistic = Statistic.of([-1.0, 0.0, 1.0])
    least = statistic.detectable(level=level)
    assert least is not None
    draws = np.random.default_rng(0).normal(least, 1.0, size=(4000, 3))
    p_values = [Statistic.of(row).p_value() for row in draws.tolist()]
    assert np.mean([p is not None and p < level for p in p_values]) == pytest.approx(0.8, abs=0.03)
    assert Statistic.of([1.0]).detectable() is None
    assert Statistic.of([1.0, 1.0]).detectable() is None


def test_every_command_of_the_ledger_once_and_the_docs_last() -> None:
    found = commands(CLAIMS)
    assert len(set(found)) == len(found)
    assert found[-1] == "python -m experiments report"
    for claim in CLAIMS:  # data that have to be fetched are left out
        assert (claim.command in found) == (not claim.fetched), claim.id
    runs = [c.split()[4] for c in found if c.startswith("python -m experiments run ")]
    for study in set(runs) - set(MEASUREMENTS):
        ran = found.index(f"python -m experiments run {study}")
        assert found.index(f"python -m experiments report {study} --record") > ran
    measured = [
        i
        for i, c in enumerate(found)
        if c.startswith("python -m experiments run ") and c.split()[4] in MEASUREMENTS
    ]
    assert min(measured) > found.index("python -m experiments run backbones")  # theirs to measure
    assert min(measured) > found.index("python -m experiments run capacity")
