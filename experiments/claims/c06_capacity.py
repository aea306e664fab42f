"""C6: do width, depth and training buy tolerance?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import metric_effect, sensitivity_effect, variants_table
from experiments.claims.verdict import common_rule, judge

__all__ = ["CLAIM"]

_RECORD = "capacity/summary.json"
_ENDS = (("width 128", "width 32"), ("depth 8", "depth 2"), ("720 steps", "180 steps"))


def _find(records: Mapping[str, Any]) -> Finding:
    summary = records[_RECORD]
    effects = [sensitivity_effect(summary, *pair, "crop", 1, "lower") for pair in _ENDS]
    shown = [metric_effect(summary, *pair, key) for key in ("crop", "top1") for pair in _ENDS]
    body = variants_table(summary, ("top1", "circular", "crop", "lipschitz"), (1, 4))
    return Finding(judge(effects), (*effects, *shown), body)


CLAIM = Claim(
    id="C6",
    sentence=(
        "A learned projector and over-parameterisation buy tolerance: sensitivity falls with "
        "width, depth and training."
    ),
    hypothesis=(
        "A plain ViT that is four times as wide, four times as deep or trained four times as long "
        "as another moves its embedding less under a crop of one pixel."
    ),
    test=(
        "Study `capacity`, largest − smallest of each of the three, in R(1 px) of crops, paired by "
        "seed; S-Cons and top-1 are shown, since a model that learns more keeps its class more "
        "often for that reason alone."
    ),
    rule=common_rule("below"),
    records=(_RECORD,),
    command="python -m experiments run capacity",
    find=_find,
    alt="Differences that width, depth and training make in sensitivity, S-Cons and top-1",
)
