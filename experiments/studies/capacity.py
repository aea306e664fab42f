"""capacity: do width, depth and training buy tolerance to shifts?

The plain ViT of `patch_vs_wavelet` (64 channels, 4 blocks, 360 steps) with one of these halved or
doubled. Costs differ, that is the question: multiply-accumulates follow depth, and the square of
width. A larger model also learns more, so top-1 is shown beside every measure of shifts.

Command: ``python -m experiments run capacity && python -m experiments report capacity``. Hardware
and time: 2 logical cores of an AMD EPYC, no GPU, about 15 minutes; the baseline's runs are those of
`patch_vs_wavelet` where they lie beside. Record: ``experiments/records/capacity/``.

Chosen on data: nothing here. The peak learning rate is that of `patch_vs_wavelet`,
chosen there for the baseline, and is not tuned again for the others.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET


def _variants() -> dict[str, RunConfig]:
    vit = PATCH_VS_WAVELET.configs()["vit"]

    def stage(**fields: Any) -> RunConfig:
        (only,) = vit.model.stages
        return changed(vit, {"model.stages": (dataclasses.replace(only, **fields),)})

    return {
        "vit": vit,
        "width 32": stage(embed_dim=32),
        "width 128": stage(embed_dim=128),
        "depth 2": stage(depth=2),
        "depth 8": stage(depth=8),
        "180 steps": changed(vit, {"optimizer.steps": 180}),
        "720 steps": changed(vit, {"optimizer.steps": 720}),
    }


CAPACITY = Study(
    name="capacity",
    question="Do width, depth and longer training make a model more robust to shifts?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("width 32", "vit", "model.stages"),
        Contrast("width 128", "vit", "model.stages"),
        Contrast("width 128", "width 32", "model.stages"),
        Contrast("depth 2", "vit", "model.stages"),
        Contrast("depth 8", "vit", "model.stages"),
        Contrast("depth 8", "depth 2", "model.stages"),
        Contrast("180 steps", "vit", "optimizer.steps"),
        Contrast("720 steps", "vit", "optimizer.steps"),
        Contrast("720 steps", "180 steps", "optimizer.steps"),
    ),
)
