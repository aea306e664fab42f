"""C14: do pyramids profit dense tasks?"""

from __future__ import annotations

from experiments.claims.claim import Claim, unmeasured

__all__ = ["CLAIM"]

CLAIM = Claim(
    id="C14",
    sentence=("Pyramids give maps at strides 4 to 32, and dense tasks profit."),
    hypothesis=(
        "With an equal light head on the maps of `features_only`, a pyramid segments composites "
        "of photographs better than the plain ViT at equal multiply-accumulates and steps."
    ),
    test=(
        "Composites of crops of two photographs under a smooth mask, label by pixel, mean "
        "intersection over union, pyramids − `vit`, paired by seed. That the maps have strides 4 "
        "to 32 is held by the contract of every registered model."
    ),
    rule=(
        "Holds if all pyramids are above the plain ViT; holds only if it is one of those that "
        "are; fails if none is and one is below."
    ),
    records=(),
    command="python -m experiments.run backbones",
    find=unmeasured,
    missing="a task head for segmentation and its study",
)
