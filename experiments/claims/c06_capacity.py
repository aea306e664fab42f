"""C6: do width, depth and training buy tolerance?"""

from __future__ import annotations

from experiments.claims.studies import Compared, study_claim

_ENDS = (("width 128", "width 32"), ("depth 8", "depth 2"), ("720 steps", "180 steps"))

CLAIM = study_claim(
    id="C6",
    sentence=(
        "A learned projector and over-parameterisation buy tolerance: sensitivity falls with "
        "width, depth and training."
    ),
    study="capacity",
    deciding=[Compared(("crop", 1), _ENDS, "lower")],
    shown=[Compared("crop", _ENDS), Compared("top1", _ENDS)],
    columns=("top1", "circular", "crop", "lipschitz"),
    shifts=(1, 4),
    alt="Differences that width, depth and training make in sensitivity, S-Cons and top-1",
)
