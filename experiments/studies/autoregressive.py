"""autoregressive: how many bits per pixel does each backbone need, and does the order matter?

The task `autoregressive` on raw 8-bit crops: the exact likelihood over the integer Haar transform,
coarsest level first, which every backbone can do. Beside it the plain ViT reads the same values
patch by patch in raster order. Figure: bits per dimension of held-out crops.

Command: ``python -m experiments run autoregressive &&
python -m experiments report autoregressive``. Hardware and time: 2 logical cores of an Intel Xeon,
no GPU, 14 minutes. Expected: bits per dimension of vit 4.37, dtcwt_vit
4.27, vit raster 4.54. Record: ``experiments/records/autoregressive/``. Chosen on data: nothing; the
peak learning rate is that of `patch_vs_wavelet`, chosen there for the plain ViT as a classifier.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.snapshots import Snapshots
from experiments.core.study import Contrast, Study
from experiments.studies.backbones import SIX_CONTRASTS, six_backbones

_RASTER = "vit raster"
_PYRAMIDS = ("haar_pyramid", "dtcwt_pyramid")
# The pyramids read images of at least 32 pixels, so they have one level of details, and the plain
# ViT three: this is the plain ViT with the head of the pyramids, at their cost.
ONE_LEVEL = "vit one level"


def _variants() -> dict[str, RunConfig]:
    runs = six_backbones(
        "autoregressive",
        {"order": "coarse_to_fine"},
        batch_size=24,
        mlps={**dict.fromkeys(_PYRAMIDS, 0.75), "swin": 0.75},
        test_crops=360,
        measured_crops=48,
    )
    one_level = {"order": "coarse_to_fine", "levels": 1}
    runs |= {name: changed(runs[name], {"task_options": one_level}) for name in _PYRAMIDS}
    return runs | {
        ONE_LEVEL: changed(runs["vit"], {"task_options": one_level}),
        _RASTER: changed(runs["vit"], {"task_options": {"order": "raster"}}),
    }


AUTOREGRESSIVE = Study(
    name="autoregressive",
    question="How many bits per pixel does each backbone need, and does the order matter?",
    variants=_variants,
    baseline="vit",
    snapshots=Snapshots(variants=("vit", "dtcwt_pyramid")),
    contrasts=(
        *(one for one in SIX_CONTRASTS if one.variant not in _PYRAMIDS),
        *(Contrast(name, ONE_LEVEL, "model") for name in _PYRAMIDS),
        Contrast(ONE_LEVEL, "vit", "task_options.levels"),
        Contrast(_RASTER, "vit", "task_options.order"),
    ),
)
