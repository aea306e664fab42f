"""C8: are absolute positions worst?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_FRIENDLIER = ("relative_bias", "rope", "conv")
_ALL = against("learned", ("sincos", *_FRIENDLIER, "none"))

CLAIM = study_claim(
    id="C8",
    sentence="Absolute positions are worst; relative, rotary and offset biases are friendlier.",
    study="positions",
    deciding=[Compared("crop", against("learned", _FRIENDLIER), "higher")],
    shown=[
        Compared("crop", against("learned", ["sincos", "none"])),
        *(Compared(metric, _ALL) for metric in ("circular", ("crop", 1), ("crop", 8), "top1")),
    ],
    columns=("top1", "circular", "crop"),
    shifts=(1, 8),
    alt="Differences of each position to learned ones in S-Cons, C-Cons, sensitivity and top-1",
)
