"""diffusion: which backbone denoises best, and do wavelets help where patches are large?

The task `diffusion` on raw 8-bit crops: flow matching, the network predicts the clean pixels.
Figures: the flow-matching loss on held-out crops, and per Haar band and time. Beside the six
backbones the plain ViT has patches of 16 x 16 pixels, a fourth of the tokens, and one change at a
time: a low-pass by time before the network, a gate for each Haar band by time, orthonormal Haar
coefficients as output, and dual-tree magnitudes as tokens.

Command: ``python -m experiments run diffusion && python -m experiments report diffusion``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 9 minutes.
Expected: flow-matching loss of swin and dtcwt_pyramid 0.13, vit and haar_pyramid 0.135, dtcwt_vit
0.14; with patches of 16 px the low-pass 0.127, plain 0.134, dual-tree tokens 0.165. Record:
``experiments/records/diffusion/``. Chosen on data: the loss is judged at the times that training
draws; at uniform times, tried first, its last quarter decided everything and seeds differed
threefold. The peak learning rate is that of `patch_vs_wavelet`, chosen there for the plain ViT as a
classifier.
"""

from __future__ import annotations

import dataclasses

from experiments.core.config import RunConfig
from experiments.core.snapshots import Snapshots
from experiments.core.study import Contrast, Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

_LARGE = "vit patch 16"
# Their modulation and head cost more than those of the plain ViT.
_MLPS = {"haar_pyramid": 0.91, "dtcwt_pyramid": 0.91}
# Changes of the task, by the variant that has one of them.
_OPTIONS = {
    f"{_LARGE} low-passed": {"input": "low_passed"},
    f"{_LARGE} gated": {"input": "gated"},
    f"{_LARGE} haar output": {"basis": "haar"},
}


def _variants() -> dict[str, RunConfig]:
    runs = six_backbones(
        "diffusion", {}, batch_size=40, mlps=_MLPS, test_crops=360, measured_crops=48
    )
    for name in ("vit", "dtcwt_vit"):
        model = dataclasses.replace(runs[name].model, patch_size=16)
        runs[f"{name} patch 16"] = dataclasses.replace(runs[name], model=model)
    large = runs[_LARGE]
    changed = {
        name: dataclasses.replace(large, task_options=options) for name, options in _OPTIONS.items()
    }
    return runs | changed


DIFFUSION = Study(
    name="diffusion",
    question="Which backbone denoises best, and do wavelets help with large patches?",
    variants=_variants,
    baseline="vit",
    snapshots=Snapshots(variants=("vit", "dtcwt_pyramid")),
    contrasts=(
        *SIX_CONTRASTS,
        Contrast(_LARGE, "vit", "model.patch_size"),
        *Contrast.each(
            _LARGE,
            {
                "dtcwt_vit patch 16": "model.tokenizer",
                **dict.fromkeys(_OPTIONS, "task_options"),
            },
        ),
    ),
)
