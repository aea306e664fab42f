"""C22: does coarse-to-fine wavelet order need fewer bits than raster order?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim
from experiments.studies.autoregressive import ONE_LEVEL

CLAIM = study_claim(
    id="C22",
    sentence=(
        "Coarse-to-fine wavelet order predicts an image in fewer bits than raster order, exactly "
        "counted."
    ),
    study="autoregressive",
    deciding=[Compared("bits", [("vit", "vit raster")], "lower")],
    shown=[
        Compared("bits", against("vit", ("haar_vit", "dtcwt_vit", ONE_LEVEL))),
        Compared("bits", against(ONE_LEVEL, ("haar_pyramid", "dtcwt_pyramid"))),
    ],
    columns=("bits",),
    alt="Difference of coarse-to-fine order to raster order in bits per dimension, and of hybrids "
    "to the plain ViT",
    missing="the study `autoregressive` has no record yet",
)
