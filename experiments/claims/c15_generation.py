"""C15: does one backbone serve recognition and generation?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import by_seed, subjects_of
from experiments.claims.verdict import Verdict
from experiments.core.statistic import Statistic
from experiments.core.style import labelled_below
from experiments.core.table import Table

_RECORD, _STUDY = "decoding/measurement.json", "tokenizers/summary.json"
_MISSING = "the heads (`wavevit/tasks`)"
_PLACES = {"first": "first tokens", "last": "last tokens"}
_HOW = ("untrained", "trained")


def _find(records: Mapping[str, Any]) -> Finding:
    record, study = records[_RECORD], records[_STUDY]
    models = record["models"]
    names = subjects_of(models)
    errors = [f"error, {title}, {how}" for title in _PLACES.values() for how in _HOW]
    rows = []
    for name in names:
        both = [(models[f"{name}, {how}"], place) for place in _PLACES for how in _HOW]
        cells = [Statistic.of(model[place]).text(1) for model, place in both]
        rows.append([f"`{name}`", study.metrics[name]["top1"].text(1), *cells])
    crops = record["crops"]
    body = (
        "No generative head is measured. The table shows how well a patch can be read from its "
        "token: error of its pixels, predicted by ridge regression, in % of the error of a "
        "constant; mean ± standard deviation over "
        f"{len(record['seeds'])} seeds, fitted on {crops['fitted']} crops of training halves, "
        f"judged on {crops['judged']} of test halves. Top-1 is that of study `tokenizers`.",
        Table(["tokens", "top-1, %", *errors], rows).markdown(),
    )
    pairs = [
        *((name, "vit, trained", place) for place in _PLACES for name in names[1:]),
        *((name, f"{name}, untrained", "last") for name in names),
    ]
    shown = [
        by_seed(f"{name}, trained", base, models, place, f"error, {_PLACES[place]}", "points")
        for name, base, place in pairs
    ]
    return Finding(Verdict("not measured", _MISSING), tuple(shown), body)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    """What recognises against what can be read back."""
    models, study = records[_RECORD]["models"], records[_STUDY]
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True)
    for axis, (place, title) in zip(axes, _PLACES.items(), strict=True):
        for name in subjects_of(models):
            error = Statistic.of(models[f"{name}, trained"][place])
            top1 = study.metrics[name]["top1"]
            axis.errorbar(
                error.mean, top1.mean, xerr=error.std, yerr=top1.std, fmt="o", capsize=3, label=name
            )
        axis.set_xlabel(f"error of pixels from {title}, trained, %")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("top-1, %")
    labelled_below(figure, axes[0], columns=6)
    return figure


CLAIM = Claim(
    id="C15",
    sentence=(
        "One backbone serves recognition and generation: masked, autoregressive and diffusion "
        "heads work on ViT and on hybrids."
    ),
    records=(_RECORD, _STUDY),
    find=_find,
    draw=_draw,
    alt="Top-1 of six ViTs against the error of pixels read from their tokens",
    missing=_MISSING,
)
