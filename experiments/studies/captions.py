"""captions: how many bits does an image save when a caption is written, on which backbone?

The task `captioning` on captioned composites: image tokens in front of a causal decoder of bytes.
Figures: bits per character with the image, with the image of another caption and without any.

Command: ``python -m experiments run captions && python -m experiments report captions``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 15 minutes beside other work.
Expected: bits per character with the image and with another one: dtcwt_vit 0.36 and 0.42, the
others 0.37 to 0.38 and 0.38 to 0.40. Record: ``experiments/records/captions/``.
Chosen on data: nothing here; the peak learning rate and the steps are those that `clip` chose on
the same pictures and captions.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones
from experiments.studies.clip import CLIP

# Their prefixes are shorter than that of the plain ViT, so their decoders have less to do.
_MLPS = {"haar_pyramid": 1.94, "dtcwt_pyramid": 1.94, "swin": 1.81}


def _variants() -> dict[str, RunConfig]:
    runs = six_backbones(
        "captioning", {}, batch_size=40, mlps=_MLPS, test_crops=720, measured_crops=96
    )
    clip = CLIP.configs()["vit"].optimizer
    return {
        name: changed(run, {"optimizer.lr": clip.lr, "optimizer.steps": clip.steps})
        for name, run in runs.items()
    }


CAPTIONS = Study(
    name="captions",
    question="How many bits does an image save when a caption is written, on which backbone?",
    variants=_variants,
    baseline="vit",
    contrasts=SIX_CONTRASTS,
)
