"""The report's diagrams. Each takes the summary and gives a matplotlib figure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from experiments.core.statistic import Statistic
from experiments.core.style import band, labelled_below, log2_axis
from experiments.core.summary import StudySummary, metric_named, pixels
from wavevit.auditing.style import line_styles

_KIND_TITLES = {
    "circular": "circular shift",
    "crop": "crop shift (what a camera does)",
}
_CONSISTENCIES = {
    "circular": "C-Cons (circular)",
    "crop": "S-Cons (crop)",
    "subpixel": "HP-Cons (circular + ½ px)",
}


def _wide(costs: Collection[float]) -> bool:
    """Whether a linear axis would show most of these costs as one."""
    return max(costs) > 8 * min(costs)


def _logarithmic(axis: Axes, wide: bool) -> None:
    """A logarithmic axis of costs; `wide` ones have fewer labels, which would run together."""
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    if wide:
        axis.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))


def _point(
    axis: Axes,
    cost: float,
    value: Statistic,
    style: Mapping[str, Any],
    hollow: bool,
    options: Mapping[str, Any],
) -> None:
    """A variant's mean and deviation over seeds at its cost."""
    axis.errorbar(
        cost,
        value.mean,
        yerr=value.std,
        color=style["color"],
        marker=style["marker"],
        markerfacecolor="white" if hollow else style["color"],
        linestyle="none",
        **options,
    )


def sensitivity_curves(summary: StudySummary, names: Sequence[str]) -> Figure:
    """Sensitivity against shift, one panel per shift model, band = one standard deviation."""
    styles = line_styles(summary.variants)
    kinds = list(next(iter(summary.sensitivity.values())))
    figure, axes = plt.subplots(1, len(kinds), figsize=(9.6, 4.1), sharey=True, squeeze=False)
    for axis, kind in zip(axes[0], kinds, strict=True):
        for name in names:
            curve = summary.sensitivity[name][kind]
            mean = np.array([statistic.mean for statistic in curve.values()])
            std = np.array([statistic.std for statistic in curve.values()])
            band(axis, list(curve), mean, std, {"label": name, **styles[name]})
        labels = [pixels(shift) for shift in curve]
        log2_axis(axis, list(curve), labels, "shift in pixels")
        axis.set_title(_KIND_TITLES.get(kind, kind), fontsize=11)
    top = axes[0, 0].get_ylim()[1]  # the axes are shared: one limit, when all curves are drawn
    axes[0, 0].set_ylim(-0.02 * top, top)
    axes[0, 0].set_ylabel("change of the embedding\n(1 = distance to another image)")
    labelled_below(figure, axes[0, 0], handlelength=3)
    return figure


def consistency_bars(summary: StudySummary) -> Figure:
    """Consistency under the three shift models, bars from a common floor that the axis names."""
    styles = line_styles(summary.variants)
    figure, axis = plt.subplots(figsize=(9.6, 3.9))
    names = list(summary.pictured)
    width = 0.8 / len(names)
    statistics = [summary.metrics[name][kind] for name in names for kind in _CONSISTENCIES]
    floor = max(0.0, 5 * np.floor((min(s.mean - s.std for s in statistics) - 3) / 5))
    for i, name in enumerate(names):
        row = [summary.metrics[name][kind] for kind in _CONSISTENCIES]
        places = np.arange(len(row)) + (i - (len(names) - 1) / 2) * width
        bars = axis.bar(
            places,
            [s.mean - floor for s in row],
            width * 0.92,
            bottom=floor,
            yerr=[s.std for s in row],
            label=name,
            color=styles[name]["color"],
            alpha=0.55 if " + " in name else 1.0,
            hatch="///" if " + " in name else None,
            edgecolor="white",
            error_kw={"elinewidth": 1, "capsize": 2},
        )
        labels = [f"{s.mean:.1f}" for s in row]
        axis.bar_label(bars, labels, fontsize=7.5, padding=2)
    axis.set_xticks(range(len(_CONSISTENCIES)), list(_CONSISTENCIES.values()))
    axis.set_ylim(floor, 100 + (100 - floor) * 0.06)
    axis.set_ylabel(f"same top-1 class, %\n(axis starts at {floor:.0f})")
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def consistency_against_time(summary: StudySummary) -> Figure:
    """S-Cons against the time of a forward pass; hollow: alignments added after training."""
    styles = line_styles(summary.variants)
    figure, axis = plt.subplots(figsize=(9.6, 5.2))
    for name in (n for n in summary.variants if n in summary.latency):
        crop, hollow = summary.metrics[name]["crop"], name in summary.applied
        options = {"label": name, "markersize": 8, "capsize": 3}
        _point(axis, summary.latency[name], crop, styles[name], hollow, options)
    base = summary.metrics[summary.baseline]["crop"].mean
    axis.axhline(base, color="#5b6775", linewidth=1, linestyle=":")
    _logarithmic(axis, wide=_wide(summary.latency.values()))
    axis.margins(x=0.08, y=0.1)
    axis.set_xlabel(f"time of a forward pass, {summary.baseline} = 1")
    axis.set_ylabel("S-Cons (crop), % of pairs with the same top-1")
    figure.legend(loc="outside right upper", fontsize=8.5)
    return figure


def accuracy_against_cost(summary: StudySummary) -> Figure:
    """What decides against the time of a forward pass; the label says the
    multiply-accumulates."""
    score = summary.deciding[0]
    styles = line_styles(summary.variants)
    figure, axis = plt.subplots(figsize=(9.6, 4.0))
    costs = summary.latency or {
        name: summary.metrics[name]["macs"].mean / 1e6 for name in summary.trained
    }
    for name in summary.trained:
        value, macs = summary.metrics[name][score], summary.metrics[name]["macs"].mean
        label = f"{name} ({macs / 1e6:.1f} MMAC)"
        options = {"label": label, "markersize": 9, "capsize": 4}
        _point(axis, costs[name], value, styles[name], " + " in name, options)
    if _wide([costs[name] for name in summary.trained]):
        _logarithmic(axis, wide=True)
    axis.margins(x=0.12, y=0.2)
    unit = f"time of a forward pass, {summary.baseline} = 1" if summary.latency else "MMAC"
    axis.set_xlabel(unit)
    axis.set_ylabel(f"{metric_named(summary.task, score).heading}, held-out halves")
    figure.legend(loc="outside right upper")
    return figure
