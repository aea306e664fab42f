"""detection: which backbone finds objects best, and do its boxes move with the image?

The task `detection` on pasted objects with exact boxes. Figures: COCO AP, and how far boxes move
beyond the shift when the crop moves (box jitter, in pixels).

Command: ``python -m experiments run detection && python -m experiments report detection``. Not
recorded yet. Chosen on data: nothing; the peak learning rate is that of `patch_vs_wavelet`, chosen
there for the plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

DETECTION = Study(
    name="detection",
    question="Which backbone finds objects best, and do its boxes move with the image?",
    variants=partial(
        six_backbones, "detection", {}, batch_size=16, test_crops=360, measured_crops=96
    ),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
