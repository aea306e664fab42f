"""detection: which backbone finds objects best, and do its boxes move with the image?

The task `detection` on pasted objects with exact boxes. Figures: COCO AP, and how far boxes move
beyond the shift when the crop moves (box jitter, in pixels).

Command: ``python -m experiments run detection && python -m experiments report detection``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 14 minutes beside other work.
Expected: AP of vit 10.1 %, dtcwt_vit and dtcwt_pyramid 9.4 to 9.7, the others 7.0 to 8.0.
Record: ``experiments/records/detection/``.
Chosen on data: peak learning rate and steps. At 3e-3 in 360 steps, the rate of `patch_vs_wavelet`,
the dual-tree pyramid found nothing (AP 0.3 % on test pictures, one seed; the plain ViT 9). Then
single runs of 720 steps were trained on ``"fit"`` and judged on ``"validation"`` pictures: AP of
the plain ViT 9.4 % at 1e-3, 9.8 at 2e-3, 9.2 at 3e-3, of the dual-tree pyramid 7.9 at 1e-3.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones


def _variants() -> dict[str, RunConfig]:
    runs = six_backbones("detection", {}, batch_size=16, test_crops=360, measured_crops=96)
    optimizer = {"optimizer.lr": 1e-3, "optimizer.steps": 720, "optimizer.warmup_steps": 60}
    return {name: changed(run, optimizer) for name, run in runs.items()}


DETECTION = Study(
    name="detection",
    question="Which backbone finds objects best, and do its boxes move with the image?",
    variants=_variants,
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
