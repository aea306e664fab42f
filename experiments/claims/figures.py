"""A claim's figure where it has none of its own: its effects with their intervals."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.claims.claim import Finding
from experiments.claims.verdict import judged

_COLOURS = {True: "#0072B2", False: "#5b6775"}


def forest(finding: Finding) -> Figure:
    """One row per effect, one panel per metric; blue rows decide the verdict, grey ones are shown.

    A blue interval has the level at which its effect is tested, a grey one 95 %.
    """
    levels = {id(one.effect): one.level for one in judged(finding.effects)}
    metrics = list(dict.fromkeys((e.metric, e.unit) for e in finding.effects))
    rows = [[e for e in finding.effects if (e.metric, e.unit) == key] for key in metrics]
    figure, axes = plt.subplots(
        len(metrics),
        1,
        figsize=(8.4, 0.8 * len(metrics) + 0.34 * len(finding.effects)),
        squeeze=False,
        height_ratios=[len(row) + 1 for row in rows],
    )
    for axis, (metric, unit), row in zip(axes[:, 0], metrics, rows, strict=True):
        axis.axvline(0, color="black", linewidth=0.8)
        for place, effect in enumerate(row):
            mean = effect.difference.mean
            low, high = effect.difference.interval(levels.get(id(effect), 0.95)) or (mean, mean)
            colour = _COLOURS[bool(effect.predicted)]
            axis.plot([low, high], [place, place], color=colour, linewidth=1.6)
            axis.plot(mean, place, "o", color=colour, markersize=5)
        axis.set_yticks(range(len(row)), [e.label for e in row])
        axis.set_ylim(len(row) - 0.5, -0.5)
        axis.set_xlabel(f"difference in {metric}{f', {unit}' if unit else ''}", fontsize=9)
        axis.grid(axis="y", visible=False)
    return figure
