"""autoregressive: how many bits per pixel does each backbone need, coarse to fine?

The task `autoregressive` on raw 8-bit crops: the exact likelihood over the integer Haar transform,
coarsest level first, which every backbone can do. Figure: bits per dimension of held-out crops.

Command: ``python -m experiments run autoregressive && python -m experiments report
autoregressive``. Not recorded yet. Chosen on data: nothing; the peak learning rate is that of
`patch_vs_wavelet`, chosen there for the plain ViT as a classifier.
"""

from __future__ import annotations

from functools import partial

from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

AUTOREGRESSIVE = Study(
    name="autoregressive",
    question="How many bits per pixel does each backbone need, coarse to fine?",
    variants=partial(
        six_backbones,
        "autoregressive",
        {"order": "coarse_to_fine"},
        batch_size=24,
        test_crops=360,
        measured_crops=48,
    ),
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
