"""C6: do width, depth and training buy tolerance?"""

from __future__ import annotations

from experiments.claims.studies import Compared, study_claim

__all__ = ["CLAIM"]

_ENDS = (("width 128", "width 32"), ("depth 8", "depth 2"), ("720 steps", "180 steps"))

CLAIM = study_claim(
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
    study="capacity",
    deciding=[Compared(("crop", 1), _ENDS, "lower")],
    shown=[Compared("crop", _ENDS), Compared("top1", _ENDS)],
    columns=("top1", "circular", "crop", "lipschitz"),
    shifts=(1, 4),
    alt="Differences that width, depth and training make in sensitivity, S-Cons and top-1",
)
