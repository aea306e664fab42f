"""C3: is a shift no permutation of a ViT's internal states?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import above, values_table
from experiments.claims.verdict import Verdict, judge
from experiments.core.statistic import Statistic

_RECORD = "permutation/measurement.json"
_ROUNDING, _PATCH = 1e-9, "8"


def _find(records: Mapping[str, Any]) -> Finding:
    found = records[_RECORD]["residual"]
    no_permutation = [("learned, trained", "1"), ("learned, trained", _PATCH), ("none", "1")]
    effects = [
        above(f"{name}, {shift} px", found[name][shift][-1], 0.1, "residual after the last block")
        for name, shift in no_permutation
    ]
    worst = max(max(layer) for layer in found["none"][_PATCH])
    verdict = judge(effects)
    if worst > _ROUNDING:
        left = f"without positions a circular shift by a patch leaves {worst:.0e}"
        verdict = Verdict("refuted", left)
    columns = [f"{shift} px" for shift in found["none"]]
    rows = {name: [by_shift[-1] for by_shift in own.values()] for name, own in found.items()}
    body = (
        "Residual after the best permutation of the tokens, at the last block, in units of a "
        "token's size:",
        values_table("positions", columns, rows, 3),
        f"Largest residual at any depth for `none` and a circular shift by a patch: {worst:.0e}.",
    )
    return Finding(verdict, tuple(effects), body)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    found = records[_RECORD]["residual"]
    figure, axes = plt.subplots(1, len(found), figsize=(9.6, 3.2), sharey=True)
    for axis, (name, own) in zip(axes, found.items(), strict=True):
        for shift, layers in own.items():
            means = [max(Statistic.of(layer).mean, 1e-17) for layer in layers]
            axis.plot(range(len(means)), means, "o-", markersize=3, label=f"{shift} px")
        axis.set_yscale("log")
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("block (0: tokenizer)", fontsize=8)
    axes[0].set_ylabel("residual / size of a token")
    axes[-1].legend(fontsize=8)
    return figure


CLAIM = Claim(
    id="C3",
    sentence=(
        "ViT is not shift-equivariant: a shift is no permutation of internal states, except by "
        "multiples of the patch without absolute positions."
    ),
    records=(_RECORD,),
    find=_find,
    draw=_draw,
    alt="Residual after the best permutation of tokens, by depth, for four kinds of positions",
)
