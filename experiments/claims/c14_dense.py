"""C14: do pyramids profit dense tasks?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "dense/summary.json"
_PYRAMIDS = ("swin", "pvt_v2", "haar_pyramid", "dtcwt_pyramid")


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    effects = [metric_effect(summary, name, "vit", "miou", "higher") for name in _PYRAMIDS]
    shown = [
        metric_effect(summary, name, "vit", key)
        for key in ("edges", "kept_1")
        for name in _PYRAMIDS
    ]
    shown.append(metric_effect(summary, "haar_vit", "vit", "miou"))
    body = variants_table(summary, ("miou", "pixels", "edges", "kept_1", "kept_4", "kept_8"), ())
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C14",
    sentence=("Pyramids give maps at strides 4 to 32, and dense tasks profit."),
    hypothesis=(
        "With an equal light head on the maps of `features_only`, each of four pyramids segments "
        "composites of two photographs better than the plain ViT at equal multiply-accumulates "
        "and steps."
    ),
    test=(
        "Study `dense`, `swin`, `pvt_v2`, `haar_pyramid` and `dtcwt_pyramid`, each − `vit`, in the "
        "mean intersection over union on composites of held-out halves, paired by seed. Shown "
        "beside it: the share of pixels within 4 pixels of a border that are right, and of those "
        "that keep their class when the crop moves. That the maps have strides 4 to 32 is held by "
        "the contract of every registered model."
    ),
    rule=common_rule("above"),
    records=(_RECORD,),
    command="python -m experiments run dense",
    find=_find,
    alt="Differences of four pyramids to the plain ViT in mean intersection over union and near "
    "borders",
)
