"""C10: do hierarchy and multi-resolution help smoothness and invariance?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, sensitivity_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "backbones/summary.json"
_PYRAMIDS = ("swin", "pvt_v2", "haar_pyramid", "dtcwt_pyramid")


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    effects = [sensitivity_effect(summary, name, "vit", "crop", 1, "lower") for name in _PYRAMIDS]
    shown = [
        metric_effect(summary, name, "vit", key)
        for key in ("crop", "lipschitz", "top1")
        for name in _PYRAMIDS
    ]
    body = variants_table(summary, ("top1", "circular", "crop", "lipschitz"), (1, 4))
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C10",
    sentence=(
        "Hierarchy and multi-resolution (Swin, PVT, MViT, wavelets) help smoothness and invariance."
    ),
    hypothesis=(
        "At equal multiply-accumulates and steps, every pyramid's embedding moves less under a "
        "crop of one pixel than the plain ViT's."
    ),
    test=(
        "Study `backbones`, `swin`, `pvt_v2`, `haar_pyramid` and `dtcwt_pyramid`, each − `vit`, in "
        "R(1 px) of crops, paired by seed; S-Cons, condition number and top-1 are shown beside it."
    ),
    rule=common_rule("below"),
    records=(_RECORD,),
    command="python -m experiments run backbones",
    find=_find,
    alt="Differences of four pyramids to the plain ViT in sensitivity, S-Cons, condition and top-1",
)
