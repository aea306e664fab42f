"""C14: do pyramids profit dense tasks?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_PYRAMIDS = against("vit", ("swin", "pvt_v2", "haar_pyramid", "dtcwt_pyramid"))

CLAIM = study_claim(
    id="C14",
    sentence=("Pyramids give maps at strides 4 to 32, and dense tasks profit."),
    study="dense",
    deciding=[Compared("miou", _PYRAMIDS, "higher")],
    shown=[
        Compared("edges", _PYRAMIDS),
        Compared("kept_1", _PYRAMIDS),
        Compared("miou", against("vit", ["haar_vit"])),
    ],
    columns=("miou", "pixels", "edges", "kept_1", "kept_4", "kept_8"),
    alt="Differences of four pyramids to the plain ViT in mean intersection over union and near "
    "borders",
)
