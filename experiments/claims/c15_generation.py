"""C15: does one backbone serve recognition and generation?"""

from __future__ import annotations

from experiments.claims.claim import Claim, unmeasured

__all__ = ["CLAIM"]

CLAIM = Claim(
    id="C15",
    sentence=(
        "One backbone serves recognition and generation: masked, autoregressive and diffusion "
        "heads work on ViT and on hybrids."
    ),
    hypothesis=(
        "With equal heads and steps, masked reconstruction and diffusion losses of a hybrid are "
        "no higher than the plain ViT's, and its features keep their probe accuracy."
    ),
    test=(
        "Masked, autoregressive and diffusion heads on the backbones of study `backbones`: held- "
        "out loss, and a linear probe before and after."
    ),
    rule=(
        "Holds if no head's loss is above the plain ViT's; holds only if it is one of the heads "
        "for which it is not."
    ),
    records=(),
    command="python -m experiments.run backbones",
    find=unmeasured,
    missing="the heads (`wavevit/tasks`)",
)
