"""C9: do convolutional stems and overlapping patches soften the 1-px shift?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, sensitivity_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "tokenizers/summary.json"


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    names = ("conv_stem", "overlap")
    effects = [sensitivity_effect(summary, name, "vit", "crop", 1, "lower") for name in names]
    shown = [sensitivity_effect(summary, name, "vit", "circular", 1) for name in names]
    shown += [metric_effect(summary, n, "vit", key) for key in ("crop", "top1") for n in names]
    body = variants_table(summary, ("top1", "circular", "crop"), (1, 4), ("vit", *names))
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C9",
    sentence="Convolutional stems and overlapping patches soften the 1-px shift.",
    hypothesis=(
        "With `tokenizer` changed to `conv_stem` or to `overlap` and nothing else, the trained "
        "ViT's embedding moves less under a crop of one pixel."
    ),
    test=(
        "Study `tokenizers`, contrasts `conv_stem` − `vit` and `overlap` − `vit` in R(1 px) of "
        "crops, paired by seed."
    ),
    rule=common_rule("below"),
    records=(_RECORD,),
    command="python -m experiments run tokenizers",
    find=_find,
    alt="Differences of conv_stem and overlap to the plain ViT in sensitivity, S-Cons and top-1",
)
