"""C10: do hierarchy and multi-resolution help smoothness and invariance?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_PYRAMIDS = against("vit", ("swin", "pvt_v2", "haar_pyramid", "dtcwt_pyramid"))

CLAIM = study_claim(
    id="C10",
    sentence=(
        "Hierarchy and multi-resolution (Swin, PVT, MViT, wavelets) help smoothness and invariance."
    ),
    study="backbones",
    deciding=[Compared(("crop", 1), _PYRAMIDS, "lower")],
    shown=[Compared(metric, _PYRAMIDS) for metric in ("crop", "lipschitz", "top1")],
    columns=("top1", "circular", "crop", "lipschitz"),
    shifts=(1, 4),
    alt="Differences of four pyramids to the plain ViT in sensitivity, S-Cons, condition and top-1",
)
