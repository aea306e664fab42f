"""Effects and tables out of a study's summary."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.claims.effect import Effect
from experiments.core.statistic import Statistic
from experiments.core.summary import METRICS, StudySummary
from experiments.core.table import Table
from wavevit.checks import fail

__all__ = ["metric_effect", "sensitivity_effect", "variants_table"]

_POINTS = {"%": "points"}


def _of(difference: Statistic | None, variant: str, baseline: str) -> Statistic:
    if difference is None:
        fail("record", f"common seeds of {variant!r} and {baseline!r}", "none")
    return difference


def metric_effect(
    summary: StudySummary, variant: str, baseline: str, metric: str, predicted: str = ""
) -> Effect:
    """Variant minus baseline in one of `METRICS`, paired by seed."""
    column = METRICS[metric]
    return Effect(
        variant=variant,
        baseline=baseline,
        metric=column.title,
        unit=_POINTS.get(column.unit, column.unit),
        digits=column.digits,
        difference=_of(summary.paired_difference(variant, baseline, metric), variant, baseline),
        predicted=predicted,
    )


def sensitivity_effect(
    summary: StudySummary,
    variant: str,
    baseline: str,
    kind: str,
    shift: float = 1,
    predicted: str = "",
) -> Effect:
    """Variant minus baseline in the sensitivity R to a shift, paired by seed."""
    difference = summary.paired_sensitivity(variant, baseline, kind, shift)
    how = f"{kind} shift"
    return Effect(
        variant=variant,
        baseline=baseline,
        metric=f"R({'½' if shift == 0.5 else f'{shift:g}'} px), {how}",
        unit="",
        digits=3,
        difference=_of(difference, variant, baseline),
        predicted=predicted,
    )


def variants_table(
    summary: StudySummary,
    metrics: Sequence[str],
    shifts: Sequence[float],
    variants: Sequence[str] = (),
) -> str:
    """Mean ± standard deviation over seeds: metrics by name, and R to crops by these shifts; of
    these variants, or of all."""
    columns = [METRICS[name] for name in metrics]
    head = ["variant", *(f"{c.title}{f', {c.unit}' if c.unit else ''}" for c in columns)]
    head += [f"R({'½' if s == 0.5 else f'{s:g}'} px) crop" for s in shifts]
    head += ["MMAC", "seeds"]
    rows = []
    for name in variants or summary.variants:
        own = summary.metrics[name]
        cells = [f"`{name}`"]
        cells += [own[key].text(c.digits) for key, c in zip(metrics, columns, strict=True)]
        cells += [summary.sensitivity[name]["crop"][shift].text(3) for shift in shifts]
        cells += [f"{own['macs'].mean / 1e6:.2f}", str(len(summary.seeds[name]))]
        rows.append(cells)
    return Table(head, rows).markdown()
