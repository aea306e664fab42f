"""dense: do feature maps at several strides help segmentation?

The families of `backbones`, each with the same light head on its maps
(`wavevit.tasks.Segmentation`), trained to tell on composites of two photographs which pixel is
of which. Multiply-accumulates, the head's included, are within 5 % of each other. The plain ViT's
one map is brought to stride 4 by a learned pixel shuffle, so that the head does not limit it to its
grid of stride 8. Figures: mIoU, and how far the borders of the masks move beside the image when the
crop moves by 1 to 8 pixels.

Command: ``python -m experiments run dense && python -m experiments report dense``. Hardware and
time: 2 logical cores of an Intel Xeon, no GPU, 16 minutes beside other work. Record, of five seeds
(``--seeds 0 1 2 3 4``, 27 minutes): ``experiments/records/dense/``.

Chosen on data: nothing. There were three seeds at first; that no difference was found with them was
known when seeds 3 and 4 were added to the record. Head, border and blend were set before the first
run, the peak learning rate is that of `patch_vs_wavelet`, chosen there for the plain ViT as a
classifier, and the pyramids' shape that of `backbones`, chosen for classification.
"""

from __future__ import annotations

import dataclasses

from experiments.core.config import RunConfig
from experiments.core.study import Contrast, Study
from experiments.studies.backbones import BACKBONES, with_mlps

_PYRAMIDS = ("swin", "pvt_v2", "haar_pyramid", "dtcwt_pyramid")
# Of our pyramids, so that multiply-accumulates are those of the plain ViT.
_MLPS = {"haar_pyramid": 1.08, "dtcwt_pyramid": 1.08}


def _variants() -> dict[str, RunConfig]:
    families = BACKBONES.configs()
    return {
        name: dataclasses.replace(
            with_mlps(families[name], _MLPS.get(name, 1)),
            task="segmentation",
            task_options={"label_smoothing": 0.1},
        )
        for name in ("vit", "haar_vit", *_PYRAMIDS)
    }


DENSE = Study(
    name="dense",
    question="Do feature maps at several strides help segmentation?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("haar_vit", "vit", "model.tokenizer"),
        *(Contrast(name, "vit", "model") for name in _PYRAMIDS),
    ),
    measures=("mask_jitter",),
)
