"""Token budgets of trained adaptive models, from a study's summary: table and figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.core.statistic import Statistic
from experiments.core.summary import METRICS, StudySummary
from experiments.core.table import Table


def budgets_table(summary: StudySummary) -> str:
    """Top-1 and tokens of trained models with other budgets than they were trained with."""
    head = ["variant", "budget", "tokens", "top-1, %"]
    rows = [
        [f"`{name}`", budget, *(METRICS[key].text(one[key]) for key in ("tokens", "top1"))]
        for name, swept in summary.budgets.items()
        for budget, one in swept.items()
    ]
    return Table(head, rows).markdown() + "\n"


def budgets_figure(
    summary: StudySummary,
    label: Callable[[str], str] = str,
    times: Mapping[str, float] | None = None,
) -> Figure:
    """Top-1 against tokens: uniform grids, and each trained model with every budget.

    Args:
        summary: of a study with `StudySummary.budgets`.
        label: name of a variant in the legend.
        times: of a forward pass, by variant: a second diagram shows top-1 against them.
    """
    columns = 2 if times else 1
    figure, axes = plt.subplots(1, columns, sharey=True, squeeze=False, figsize=(8.4, 3.6))
    axis = axes[0, 0]
    grids = [name for name in summary.variants if name not in summary.budgets]
    grids.sort(key=lambda name: summary.metrics[name]["tokens"].mean)
    if grids:
        _curve(axis, [summary.metrics[name] for name in grids], "o-", "black", "uniform grids")
    for place, (name, swept) in enumerate(summary.budgets.items()):
        _curve(axis, list(swept.values()), ".--", f"C{place}", "")
        _curve(axis, [summary.metrics[name]], "D", f"C{place}", label(name))
    title = "diamonds: budget of the training;\ndashed: the same model with others"
    axis.set_title(title if times else title.replace("\n", " "), fontsize=9)
    axis.set_xlabel("tokens of an image, mean over crops", fontsize=9)
    axis.set_ylabel("top-1, %", fontsize=9)
    if times:
        _against_time(axes[0, 1], summary, grids, times)
    figure.legend(loc="outside right upper", fontsize=7)
    return figure


def _against_time(
    axis: Axes, summary: StudySummary, grids: Sequence[str], times: Mapping[str, float]
) -> None:
    """Each model with the budget of its training, in the colours of the other diagram."""
    groups = [(grids, "o-", "black")] if grids else []
    groups += [([name], "D", f"C{place}") for place, name in enumerate(summary.budgets)]
    for names, style, colour in groups:
        top1 = [summary.metrics[name]["top1"] for name in names]
        axis.errorbar(
            [times[name] for name in names],
            [one.mean for one in top1],
            yerr=[one.std for one in top1],
            fmt=style,
            color=colour,
            markersize=5,
            capsize=2,
        )
    axis.set_title("budget of the training", fontsize=9)
    axis.set_xlabel(f"time of a forward pass, {summary.baseline} = 1", fontsize=9)


def _curve(
    axis: Axes, points: Sequence[Mapping[str, Statistic]], style: str, colour: str, label: str
) -> None:
    tokens, top1 = ([point[key].mean for point in points] for key in ("tokens", "top1"))
    spread = [point["top1"].std for point in points]
    look: dict[str, Any] = {"color": colour, "markersize": 5, "capsize": 2}
    axis.errorbar(tokens, top1, yerr=spread, fmt=style, label=label or None, **look)
