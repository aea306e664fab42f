"""C7: does augmentation buy approximate invariance?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_AUGMENTED = ("fixed + translate", "fixed + resize", "fixed + flip", "anywhere")
_ALL = against("fixed", (*_AUGMENTED, "fixed + all"))

CLAIM = study_claim(
    id="C7",
    sentence=(
        "Augmentation (crops, resize, flips, small translations) buys approximate invariance."
    ),
    study="augmentation",
    deciding=[Compared("crop", against("fixed", _AUGMENTED), "higher")],
    shown=[
        Compared("crop", against("fixed", ["fixed + all"])),
        Compared(("crop", 1), _ALL),
        Compared("top1", _ALL),
    ],
    columns=("top1", "circular", "crop"),
    shifts=(1, 4),
    alt="Differences that each augmentation makes in S-Cons, sensitivity and top-1",
)
