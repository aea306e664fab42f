"""augmentation: do crops, resizing, flips and small translations buy approximate invariance?

The crops of the other studies come from anywhere in a photograph, and that is an augmentation by
translation already. What "none" means here: nine fixed crops of each photograph, three by three
places evenly spread, the same 162 crops in every epoch. Each augmentation adds one thing to them,
with real pixels only (`experiments.core.augmentation`): whole-pixel translations by up to 6, zooms
of 0.8 to 1.25 without aliasing, flips; then all three. Last, crops from anywhere and no
augmentation, as everywhere else. The model is the plain ViT of `patch_vs_wavelet`. Steps are equal,
so every variant sees as many crops as the others.

Command: ``python -m experiments run augmentation && python -m experiments report augmentation``.
Hardware and time: 2 logical cores of an AMD EPYC, no GPU, about 20 minutes; ``anywhere`` is the
baseline of `patch_vs_wavelet` and is not trained again where that lies beside. Record:
``experiments/records/augmentation/``.

The record of ``fixed + resize`` and ``fixed + all`` was trained with kornia's ``RandomAffine``,
whose bilinear samples alias below zoom 1; the present zoom filters first.

Chosen on data: nothing. Strengths were set before the first run; the peak learning
rate is that of `patch_vs_wavelet`.
"""

from __future__ import annotations

from experiments.core.config import AUGMENTATIONS, RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET

_PLACES = 3


def _variants() -> dict[str, RunConfig]:
    anywhere = PATCH_VS_WAVELET.configs()["vit"]
    fixed = changed(anywhere, {"data.places": _PLACES})
    added = {name: (name,) for name in AUGMENTATIONS} | {"all": AUGMENTATIONS}
    return {
        "fixed": fixed,
        **{
            f"fixed + {name}": changed(fixed, {"data.augmentation": parts})
            for name, parts in added.items()
        },
        "anywhere": anywhere,
    }


AUGMENTATION = Study(
    name="augmentation",
    question="Do crops, resizing, flips and small translations make a model nearly invariant?",
    variants=_variants,
    baseline="fixed",
    contrasts=Contrast.each(
        "fixed",
        {f"fixed + {name}": "data.augmentation" for name in (*AUGMENTATIONS, "all")}
        | {"anywhere": "data.places"},
    ),
)
