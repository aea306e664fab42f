"""C16: does a text tower make the vocabulary semantic?"""

from __future__ import annotations

from experiments.claims.claim import Claim, unmeasured

__all__ = ["CLAIM"]

CLAIM = Claim(
    id="C16",
    sentence=("A contrastive text tower makes the vocabulary semantic (CLIP)."),
    hypothesis=(
        "Features trained against captions group photographs by what they show better than "
        "features trained on classes of equal number."
    ),
    test=(
        "Retrieval of photographs by captions and by each other, contrastive against supervised "
        "training at equal steps."
    ),
    rule=(
        "Holds if retrieval between photographs of one subject is better with the text tower, by "
        "seed."
    ),
    records=(),
    command="python -m experiments.run backbones",
    find=unmeasured,
    missing=(
        "captioned photographs and a contrastive head; the bundled photographs have names and no "
        "captions"
    ),
)
