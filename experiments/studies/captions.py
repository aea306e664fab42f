"""captions: how many bits does an image save when a caption is written, on which backbone?

The task `captioning` on captioned composites: image tokens in front of a causal decoder of bytes.
Figures: bits per character with the image, with the image of another caption and without any.

Command: ``python -m experiments run captions && python -m experiments report captions``. Not
recorded yet. Chosen on data: nothing; the peak learning rate is that of `patch_vs_wavelet`, chosen
there for the plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

CAPTIONS = Study(
    name="captions",
    question="How many bits does an image save when a caption is written, on which backbone?",
    variants=partial(
        six_backbones, "captioning", {}, batch_size=40, test_crops=720, measured_crops=96
    ),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
