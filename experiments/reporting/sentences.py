"""Captions of the figures and sentences of the report, written from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.core.statistic import Statistic, number
from experiments.core.summary import StudySummary, metric_named


def points(difference: Statistic) -> str:
    """A paired difference in points with its interval and what it allows to say."""
    return change(difference, 1, " points")


def change(difference: Statistic, digits: int, unit: str = "") -> str:
    """A paired difference with its interval and what it allows to say."""
    interval, count = difference.interval(), len(difference.values)
    mean = number(difference.mean, digits, signed=True)
    if interval is None or difference.std == 0:  # an interval of no width would claim too much
        return f"{mean}{unit} ({difference.untested()})"
    low, high = (number(end, digits, signed=True) for end in interval)
    words = f"{difference.direction()}, {count} seeds"
    return f"{mean} [{low}, {high}]{unit} ({words})"


def change_of(summary: StudySummary, metric: str, difference: Statistic) -> str:
    """`change` in the unit of a metric."""
    column = metric_named(summary.task, metric)
    digits = column.decimals(summary.metrics[summary.baseline][metric].mean)
    return change(difference, digits, " points" if column.unit == "%" else "")


def headline(summary: StudySummary) -> str:
    """The answer in two or three sentences."""
    base = summary.baseline
    if summary.task != "classification":
        return _score_headline(summary)
    circular, crop = summary.sensitivity[base]["circular"], summary.sensitivity[base]["crop"]
    turnover = summary.turnover[base]["circular"].mean
    text = (
        f"A circular shift by one pixel changes {turnover:.0f} % of the last tokens of "
        f"<b>{base}</b> by more than a tenth. Its embedding changes by "
        f"{100 * circular[1].mean:.0f} % of the mean distance between images, and by "
        f"{100 * crop[1].mean:.0f} % under a crop shift by one pixel. "
    )
    others = [name for name in summary.variants if name != base]
    if not others:
        return text
    text += _crop_ranking(summary, others)
    exact = [name for name in others if summary.metrics[name]["circular"].mean == 100]
    if exact:
        names = " and ".join(f"<b>{name}</b>" for name in exact)
        text += f"Exactly invariant to circular shifts (C-Cons 100 %): {names}."
    return text


def _score_headline(summary: StudySummary) -> str:
    """The baseline's scores, and which variants are higher, lower or inconclusive."""
    base, scores = summary.baseline, summary.deciding
    outcomes: dict[str, list[str]] = {}
    digits = metric_named(summary.task, scores[0]).decimals(summary.metrics[base][scores[0]].mean)
    for name in summary.variants:
        difference = summary.paired_difference(name, base, scores[0])
        if name != base and difference is not None:
            text = f"<b>{name}</b> ({number(difference.mean, digits, signed=True)})"
            outcomes.setdefault(difference.direction(), []).append(text)
    columns = [metric_named(summary.task, score) for score in scores]
    reached = [
        f"{column.text(summary.metrics[base][score])} ({column.heading})"
        for score, column in zip(scores, columns, strict=True)
    ]
    text = f"<b>{base}</b> reaches {' and '.join(reached)}. "
    parts = [f"{key.capitalize()}: {', '.join(names)}." for key, names in outcomes.items()]
    return text + " ".join(parts)


def _crop_ranking(summary: StudySummary, others: Sequence[str]) -> str:
    """Which variants change less than the baseline under a 1-px crop shift, and which more."""
    calmer, livelier = [], []
    for name in others:
        difference = summary.paired_sensitivity(name, summary.baseline, "crop", 1)
        outcome = difference.direction() if difference is not None else ""
        share = f"<b>{name}</b> ({100 * summary.sensitivity[name]['crop'][1].mean:.0f} %)"
        if outcome == "lower":
            calmer.append(share)
        elif outcome == "higher":
            livelier.append(share)
    less = f"less than {summary.baseline} under that crop shift. "
    found = _change(calmer, less) or f"No variant was found to change {less}"
    return found + _change(livelier, "more. ")


def _change(names: Sequence[str], how: str) -> str:
    verb = "changes" if len(names) == 1 else "change"
    return f"{', '.join(names)} {verb} {how}" if names else ""


def about_picture(record: Mapping[str, Any], kind: str) -> str:
    """Mean token change at one pixel, per model, from a record of pictures."""
    column = record["shifts"].index(1)
    parts = [f"{100 * own['mean'][column]:.0f} % in {name}" for name, own in record[kind].items()]
    how = {"circular": "shifted circularly", "crop": "with a crop that moves"}[kind]
    return (
        f"One photograph, {how} by one pixel to the right: mean change of the last tokens "
        f"{', '.join(parts)}. Maps are compared after the best circular shift by whole tokens, so "
        "a shift of the whole token grid counts as no change."
    )


def about_sensitivity(summary: StudySummary, names: Sequence[str]) -> str:
    """The ranking of some variants at one pixel for both shift models."""
    parts = []
    for kind, words in (("circular", "a circular shift"), ("crop", "a crop shift")):
        ranked = sorted(names, key=lambda n: summary.sensitivity[n][kind][1].mean)
        values = [f"{n} {summary.sensitivity[n][kind][1].mean:.3f}" for n in ranked]
        parts.append(f"Change of the embedding under {words} by 1 px: {', '.join(values)}.")
    return " ".join(parts) + " Bands are one standard deviation over seeds."


def about_consistency(summary: StudySummary) -> str:
    """How often the class stays the same, and what an alignment changes under crop shifts."""
    base = summary.metrics[summary.baseline]
    text = (
        f"Two random shifts of one picture get the same class from {summary.baseline} in "
        f"{base['circular'].text(1)} % (circular) and {base['crop'].text(1)} % (crop) of pairs. "
    )
    for variant, baseline, field in summary.contrasts:
        if field != "model.alignment" or variant not in summary.metrics:
            continue
        difference = summary.paired_difference(variant, baseline, "crop")
        if difference is not None:
            text += (
                f"{variant}: {summary.metrics[variant]['circular'].mean:.1f} % for circular "
                f"shifts; for crops S-Cons changes by {points(difference)} against {baseline}. "
            )
    return text.strip()


def about_trade_off(summary: StudySummary) -> str:
    """What each variant gains in S-Cons over the one it is compared with, and its time."""
    parts = []
    for name in summary.variants:
        base = summary.applied.get(name, summary.baseline)
        difference = summary.paired_difference(name, base, "crop")
        if name != base and difference is not None:
            ratio = f", {summary.latency[name]:.2f}x the time" if name in summary.latency else ""
            parts.append(f"{name} {points(difference)} against {base}{ratio}")
    return f"Differences in S-Cons: {'; '.join(parts)}. Hollow: alignment added after training."


def about_cost(summary: StudySummary) -> str:
    """Accuracy and cost of every variant against the baseline."""
    base, parts, score = summary.baseline, [], summary.deciding[0]
    for name in summary.trained:
        if name == base:
            continue
        difference = summary.paired_difference(name, base, score)
        words = "no common seeds"
        if difference is not None:
            words = change_of(summary, score, difference)
        ratio = f", {summary.latency[name]:.2f}x the time" if summary.latency else ""
        parts.append(f"{name} {words}{ratio}")
    macs = [summary.metrics[name]["macs"].mean for name in summary.trained]
    spread = 100 * (max(macs) / min(macs) - 1)
    return (
        f"Differences in {metric_named(summary.task, score).title} to {base}: {'; '.join(parts)}. "
        f"Multiply-accumulates differ by at most {spread:.1f} %."
    )


def about_contrasts(summary: StudySummary) -> list[tuple[str, ...]]:
    """Rows of the ablation table: variant, baseline, field, differences in what decides."""
    rows = []
    for variant, baseline, field in summary.contrasts:
        if variant not in summary.metrics or baseline not in summary.metrics:
            continue
        texts = []
        for metric in summary.deciding:
            difference = summary.paired_difference(variant, baseline, metric)
            texts.append(
                "no common seeds" if difference is None else change_of(summary, metric, difference)
            )
        rows.append((variant, baseline, field, *texts))
    return rows


def about_budgets(summary: StudySummary) -> str:
    """What the smallest budget costs each adaptive model, beside the largest."""
    parts = []
    for name, swept in summary.budgets.items():
        least, most = (
            choose(swept.values(), key=lambda one: one["tokens"].mean) for choose in (min, max)
        )
        parts.append(
            f"{name} {least['top1'].mean:.1f} % with {least['tokens'].mean:.0f} tokens and "
            f"{most['top1'].mean:.1f} % with {most['tokens'].mean:.0f}"
        )
    return (
        "Each adaptive model was trained with one token budget, and is measured with others "
        f"without further training; top-1: {'; '.join(parts)}."
    )
