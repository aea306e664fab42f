"""smoke: do training, measuring and reporting work here?

Tiny models, forty steps, half a minute on a laptop. Command: ``python -m experiments run smoke &&
python -m experiments report smoke``. The figures mean nothing.
"""

from __future__ import annotations

import dataclasses

from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.core.study import Contrast, Study
from wavevit.data.photographs import NAMES
from wavevit.models import BackboneConfig, make_stages


def _variants() -> dict[str, RunConfig]:
    vit = BackboneConfig(
        img_size=32,
        in_chans=1,
        num_classes=len(NAMES),
        patch_size=8,
        stages=make_stages(depths=[1], embed_dims=[16], num_heads=1),
    )
    run = RunConfig(
        model=vit,
        data=DataConfig(crop_size=32, margin=8, test_crops=72, measured_crops=36),
        optimizer=OptimizerConfig(steps=40, batch_size=16, warmup_steps=4),
        checkpoint_every=10,
    )
    locked = dataclasses.replace(run, model=dataclasses.replace(vit, alignment="phase_lock"))
    return {"vit": run, "vit + phase_lock": locked, "vit then phase_lock": locked}


SMOKE = Study(
    name="smoke",
    question="Do training, measuring and reporting work on this machine?",
    variants=_variants,
    baseline="vit",
    contrasts=(Contrast("vit + phase_lock", "vit", "model.alignment"),),
    seeds=(0, 1),
    applied={"vit then phase_lock": "vit"},
    measures=("worst_case",),
)
