"""C8: are absolute positions worst?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, sensitivity_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "positions/summary.json"
_FRIENDLIER = ("relative_bias", "rope", "conv")


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    effects = [metric_effect(summary, name, "learned", "crop", "higher") for name in _FRIENDLIER]
    names = ("sincos", *_FRIENDLIER, "none")
    shown = [metric_effect(summary, name, "learned", "crop") for name in ("sincos", "none")]
    shown += [metric_effect(summary, name, "learned", "circular") for name in names]
    shown += [
        sensitivity_effect(summary, name, "learned", "crop", shift)
        for shift in (1, 8)
        for name in names
    ]
    shown += [metric_effect(summary, name, "learned", "top1") for name in names]
    body = variants_table(summary, ("top1", "circular", "crop"), (1, 8))
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C8",
    sentence="Absolute positions are worst; relative, rotary and offset biases are friendlier.",
    hypothesis=(
        "With `position` changed from `learned` to `relative_bias`, `rope` or `conv` and nothing "
        "else, a trained ViT keeps its class under crop shifts more often."
    ),
    test=(
        "Study `positions`, each of the three − `learned`, in S-Cons, paired by seed; `sincos` and "
        "`none`, C-Cons, R by one pixel and by one patch (8 px), and top-1 are shown."
    ),
    rule=common_rule("above"),
    records=(_RECORD,),
    command="python -m experiments run positions",
    find=_find,
    alt="Differences of each position to learned ones in S-Cons, C-Cons, sensitivity and top-1",
)
