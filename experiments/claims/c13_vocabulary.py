"""C13: is the visual vocabulary expressive, and does it transfer?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.effect import Effect
from experiments.claims.measured import between, by_seed, values_table
from experiments.claims.verdict import judge
from experiments.core.statistic import Statistic
from experiments.core.table import Table

_RECORD = "vocabulary/measurement.json"
_MEASURES = {"rank": ("effective rank", ""), "probe": ("probe", "points")}
_DECIDING = (("vit, trained", "vit, untrained"), ("width 128, untrained", "width 32, untrained"))
_SHOWN = tuple(
    (f"{name}, trained", f"{name}, untrained")
    for name in ("haar_vit", "haar_pyramid", "dtcwt_pyramid")
)


def _effect(models: Mapping[str, Any], pair: tuple[str, str], key: str, predicted: str) -> Effect:
    title, unit = _MEASURES[key]
    return by_seed(*pair, models, key, title, unit, predicted)


def _find(records: Mapping[str, Any]) -> Finding:
    record = records[_RECORD]
    models, n_term = record["models"], record["n_term"]
    effects = [_effect(models, pair, key, "higher") for key in _MEASURES for pair in _DECIDING]
    shown = [_effect(models, pair, key, "") for key in _MEASURES for pair in _SHOWN]
    percent = f"{100 * record['share']:g} %"
    shown += [
        between(name, n_term[name], "pixels", n_term["pixels"], f"n-term error at {percent}")
        for name in ("haar", "db4")
    ]
    rows = []
    for name, own in models.items():
        rank, probe = (Statistic.of(own[key]).text(1) for key in _MEASURES)
        rows.append([f"`{name}`", rank, f"{own['dim'][0]:.0f}", probe])
    crops = record["crops"]
    body = (
        f"Mean ± standard deviation over {len(record['seeds'])} seeds; rank on "
        f"{crops['ranked']} held-out crops; the probe classifies quarter turns (chance 25 %), "
        f"fitted on {crops['fitted']} crops of training halves, judged on {crops['judged']} "
        "of test halves:",
        Table(["model", "effective rank", "of features", "probe, %"], rows).markdown(),
        f"Error of the best approximation by {percent} of the coefficients, relative to the "
        "crop, by photograph:",
        values_table("transform", ["error"], {name: [own] for name, own in n_term.items()}, 3),
    )
    return Finding(judge(effects), (*effects, *shown), body)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    models = records[_RECORD]["models"]
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True)
    for axis, (key, (title, unit)) in zip(axes, _MEASURES.items(), strict=True):
        for place, (name, own) in enumerate(models.items()):
            found = Statistic.of(own[key])
            colour = "#0072B2" if "untrained" not in name else "#5b6775"
            axis.errorbar(found.mean, place, xerr=found.std, fmt="o", color=colour, capsize=3)
        axis.set_xlabel(f"{title}, %" if unit else title)
        axis.grid(axis="y", visible=False)
    axes[1].axvline(25, color="black", linestyle=":", linewidth=1)
    axes[0].set_yticks(range(len(models)), list(models))
    axes[0].invert_yaxis()
    return figure


CLAIM = Claim(
    id="C13",
    sentence=(
        "The visual vocabulary is expressive if it transfers: effective rank, n-term error and "
        "probes rise with capacity, data and objective."
    ),
    records=(_RECORD,),
    find=_find,
    draw=_draw,
    alt="Effective rank and probe accuracy of trained and untrained models, mean and spread",
)
