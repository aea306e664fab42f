"""diffusion: which backbone denoises best, by the flow-matching loss?

The task `diffusion` on raw 8-bit crops: flow matching, the network predicts the clean pixels.
Figures: the flow-matching loss on held-out crops, and per Haar band and time. Options `input` and
`basis` of the task are further variants that a user can add.

Command: ``python -m experiments run diffusion && python -m experiments report diffusion``. Not
recorded yet. Chosen on data: nothing; the peak learning rate is that of `patch_vs_wavelet`, chosen
there for the plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

DIFFUSION = Study(
    name="diffusion",
    question="Which backbone denoises best, by the flow-matching loss?",
    variants=partial(
        six_backbones, "diffusion", {}, batch_size=40, test_crops=360, measured_crops=48
    ),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
