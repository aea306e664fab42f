"""masked: which backbone restores hidden patches best?

The task `masked` on `scenes`: two of the four blocks of 32 x 32 pixels are hidden before the
tokenizer, and their pixels are predicted. The block is the coarsest stride of the pyramids, so all
backbones restore the same holes. All encode the whole grid, and the widths of the MLPs make
multiply-accumulates equal. Figures: the error relative to predicting the mean of the visible pixels
and to harmonic inpainting.

Command: ``python -m experiments run masked && python -m experiments report masked``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 10 minutes.
Expected: error relative to inpainting of dtcwt_vit and swin 84 %, vit 89, the others 90 to 94.
Record: ``experiments/records/masked/``. Chosen on data: nothing; the peak learning rate is that of
`patch_vs_wavelet`, chosen there for the plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

MASKED = Study(
    name="masked",
    question="Which backbone restores hidden patches best?",
    variants=partial(
        six_backbones,
        "masked",
        {"encoder": "all", "block": 32, "mask_ratio": 0.5},
        mlps={"haar_pyramid": 1.45, "dtcwt_pyramid": 1.45, "swin": 1.36},
        test_crops=720,
        measured_crops=96,
    ),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
