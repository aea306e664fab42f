"""C7: does augmentation buy approximate invariance?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, sensitivity_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "augmentation/summary.json"
_AUGMENTED = ("fixed + translate", "fixed + resize", "fixed + flip", "anywhere")


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    effects = [metric_effect(summary, name, "fixed", "crop", "higher") for name in _AUGMENTED]
    names = (*_AUGMENTED, "fixed + all")
    shown = [metric_effect(summary, "fixed + all", "fixed", "crop")]
    shown += [sensitivity_effect(summary, name, "fixed", "crop", 1) for name in names]
    shown += [metric_effect(summary, name, "fixed", "top1") for name in names]
    body = variants_table(summary, ("top1", "circular", "crop"), (1, 4))
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C7",
    sentence=(
        "Augmentation (crops, resize, flips, small translations) buys approximate invariance."
    ),
    hypothesis=(
        "A plain ViT that trains on fixed crops keeps its class under crop shifts more often once "
        "those crops are translated, resized, flipped, or come from anywhere."
    ),
    test=(
        "Study `augmentation`, each of the four − `fixed`, in S-Cons, paired by seed; R(1 px), "
        "top-1 and all three together are shown."
    ),
    rule=common_rule("above"),
    records=(_RECORD,),
    command="python -m experiments run augmentation",
    find=_find,
    alt="Differences that each augmentation makes in S-Cons, sensitivity and top-1",
)
