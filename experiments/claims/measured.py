"""Effects and tables out of a measurement's record, paired by photograph or by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.claims.effect import Effect
from experiments.core.statistic import Statistic, number
from experiments.core.table import Table


def between(
    variant: str,
    values: Sequence[float],
    baseline: str,
    others: Sequence[float],
    metric: str,
    *,
    unit: str = "",
    digits: int = 3,
    predicted: str = "",
    over: str = "photographs",
) -> Effect:
    """Variant minus baseline, photograph by photograph or seed by seed."""
    return Effect(
        variant=variant,
        baseline=baseline,
        metric=metric,
        unit=unit,
        digits=digits,
        difference=Statistic.paired(values, others, unit),
        predicted=predicted,
        over=over,
    )


def above(
    variant: str,
    values: Sequence[float],
    threshold: float,
    metric: str,
    *,
    unit: str = "",
    digits: int = 3,
    predicted: str = "higher",
) -> Effect:
    """A figure of each photograph against a threshold that the claim sets."""
    return Effect(
        variant=variant,
        metric=metric,
        unit=unit,
        digits=digits,
        difference=Statistic.paired(values, [threshold] * len(values), unit),
        predicted=predicted,
        over="photographs",
        threshold=threshold,
    )


def by_seed(
    variant: str,
    baseline: str,
    models: Mapping[str, Mapping[str, Sequence[float]]],
    key: str,
    metric: str,
    unit: str,
    predicted: str = "",
) -> Effect:
    """Variant minus baseline, seed by seed, out of lists by model and key."""
    own, other = models[variant][key], models[baseline][key]
    how = {"unit": unit, "predicted": predicted, "over": "seeds"}
    return between(variant, own, baseline, other, metric, digits=1, **how)


def subjects_of(models: Mapping[str, object]) -> list[str]:
    """What "NAME, trained" and "NAME, untrained" are of, once each."""
    return list(dict.fromkeys(name.rpartition(", ")[0] for name in models))


def text_of(values: Sequence[float], digits: int) -> str:
    """Mean and its 95 % interval over photographs; powers of ten where the digits show nothing."""
    found = Statistic.of(values)
    if found.mean != 0 and abs(found.mean) < 0.5 * 10**-digits:
        return f"{found.mean:.0e}"
    low, high = found.ends()
    return f"{number(found.mean, digits)} [{number(low, digits)}, {number(high, digits)}]"


def values_table(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[Sequence[float]]], digits: int
) -> str:
    """Mean [95 % interval] over photographs: a row a name, a cell a list of values."""
    texts = [
        [f"`{name}`", *(text_of(values, digits) for values in cells)]
        for name, cells in rows.items()
    ]
    return Table([title, *columns], texts).markdown()
