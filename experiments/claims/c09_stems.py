"""C9: do convolutional stems and overlapping patches soften the 1-px shift?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_STEMS = ("conv_stem", "overlap")
_PAIRS = against("vit", _STEMS)

CLAIM = study_claim(
    id="C9",
    sentence="Convolutional stems and overlapping patches soften the 1-px shift.",
    study="tokenizers",
    deciding=[Compared(("crop", 1), _PAIRS, "lower")],
    shown=[Compared(metric, _PAIRS) for metric in (("circular", 1), "crop", "top1")],
    columns=("top1", "circular", "crop"),
    shifts=(1, 4),
    variants=("vit", *_STEMS),
    alt="Differences of conv_stem and overlap to the plain ViT in sensitivity, S-Cons and top-1",
)
