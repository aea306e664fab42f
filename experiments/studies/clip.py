"""clip: which backbone learns best from captions, and does its choice of a caption survive a shift?

The task `contrastive` on captioned composites: an image tower and a text tower of bytes, InfoNCE.
Held-out captions are combinations of words that no training caption has. Figures: R@1 and R@5 both
ways with chance, hard negatives that differ in one word, and how often a crop shift changes the
closest caption.

Command: ``python -m experiments run clip && python -m experiments report clip``. Not recorded yet.
Chosen on data: nothing; the peak learning rate is that of `patch_vs_wavelet`, chosen there for the
plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

CLIP = Study(
    name="clip",
    question="Which backbone learns best from captions, and is its caption stable under shifts?",
    variants=partial(six_backbones, "contrastive", {}, test_crops=720, measured_crops=96),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
