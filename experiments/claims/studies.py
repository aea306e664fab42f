"""Claims that a study decides: effects and tables out of its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.effect import Effect
from experiments.claims.verdict import judge
from experiments.core.summary import StudySummary, metric_named, pixels
from experiments.core.table import Table
from wavevit.checks import fail

_POINTS = {"%": "points"}


def study_effect(
    summary: StudySummary,
    variant: str,
    baseline: str,
    metric: str | tuple[str, float],
    predicted: str = "",
    looks: int = 1,
) -> Effect:
    """Variant minus baseline, paired by seed, in a metric of the study's task or in the sensitivity
    R to a shift: ``("crop", 1)``; `looks` as in `Effect`."""
    if isinstance(metric, str):
        column = metric_named(summary.task, metric)
        title, unit = column.title, _POINTS.get(column.unit, column.unit)
        digits = 1 if unit == "points" else column.decimals(summary.metrics[baseline][metric].mean)
        difference = summary.paired_difference(variant, baseline, metric)
    else:
        title, unit, digits = f"R({pixels(metric[1])} px), {metric[0]} shift", "", 3
        difference = summary.paired_sensitivity(variant, baseline, *metric)
    if difference is None:
        fail("record", f"common seeds of {variant!r} and {baseline!r}", "none")
    return Effect(
        variant=variant,
        baseline=baseline,
        metric=title,
        unit=unit,
        digits=digits,
        difference=difference,
        predicted=predicted,
        looks=looks,
    )


def variants_table(
    summary: StudySummary,
    metrics: Sequence[str],
    shifts: Sequence[float],
    variants: Sequence[str] = (),
    times: Mapping[str, float] | None = None,
) -> str:
    """Mean ± standard deviation over seeds: metrics by name, and R to crops by these shifts; of
    these variants, or of all. `times` of a forward pass, by variant, are one more column."""
    columns = [metric_named(summary.task, name) for name in metrics]
    head = ["variant", *(column.heading for column in columns)]
    head += [f"R({pixels(shift)} px) crop" for shift in shifts]
    head += ["MMAC", *(["time"] if times else []), "seeds"]
    rows = []
    for name in variants or summary.variants:
        own = summary.metrics[name]
        cells = [f"`{name}`"]
        cells += [c.text(own[key]) for key, c in zip(metrics, columns, strict=True)]
        cells += [summary.sensitivity[name]["crop"][shift].text(3) for shift in shifts]
        cells += [f"{own['macs'].mean / 1e6:.2f}", *([f"{times[name]:.2f}"] if times else [])]
        cells += [str(len(summary.seeds[name]))]
        rows.append(cells)
    return Table(head, rows).markdown()


@dataclass(frozen=True)
class Compared:
    """Pairs of variants, compared in one metric.

    Attributes:
        metric: one of the study's task, or a shift model and pixels: ``("crop", 1)`` is R(1 px) of
            crops.
        pairs: (variant, baseline).
        predicted: the sign that the claim predicts; empty where the effects are only shown.
        looks: as in `Effect`.
    """

    metric: str | tuple[str, float]
    pairs: Sequence[tuple[str, str]]
    predicted: str = ""
    looks: int = 1

    def effects(self, summary: StudySummary) -> list[Effect]:
        """One for each pair."""
        return [
            study_effect(summary, *pair, self.metric, self.predicted, self.looks)
            for pair in self.pairs
        ]

    def recorded(self, summary: StudySummary) -> Compared:
        """Without pairs of variants that the record lacks."""
        known = set(summary.variants)
        return replace(self, pairs=[pair for pair in self.pairs if known.issuperset(pair)])


def against(baseline: str, variants: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of several variants with one baseline."""
    return tuple((variant, baseline) for variant in variants)


def study_claim(
    *,
    id: str,
    sentence: str,
    alt: str,
    study: str,
    deciding: Sequence[Compared],
    shown: Sequence[Compared],
    columns: Sequence[str],
    shifts: Sequence[float] = (),
    variants: Sequence[str] = (),
    draw: Callable[[Mapping[str, Any], Finding], Figure] | None = None,
    missing: str = "",
) -> Claim:
    """A claim that the common rule decides, from one study.

    Args:
        id: as `Claim.id`.
        sentence: as `Claim.sentence`.
        alt: as `Claim.alt`.
        study: whose summary is the record.
        deciding: with one predicted sign.
        shown: beside them, as far as the record has their variants.
        columns: of the page's table: metrics by name.
        shifts: of the table's sensitivities to crops.
        variants: of the table; by default all.
        draw: as `Claim.draw`.
        missing: as `Claim.missing`.
    """
    record = f"{study}/summary.json"

    def find(records: Mapping[str, Any]) -> Finding:
        summary = records[record]
        deciders = [effect for one in deciding for effect in one.effects(summary)]
        others = [effect for one in shown for effect in one.recorded(summary).effects(summary)]
        table = variants_table(summary, columns, shifts, variants)
        return Finding(judge(deciders), (*deciders, *others), (table,))

    return Claim(
        id=id, sentence=sentence, alt=alt, missing=missing, records=(record,), find=find, draw=draw
    )
