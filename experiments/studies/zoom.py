"""zoom: does one fixed patch size give a ViT one native resolution?

The plain ViT of `patch_vs_wavelet` with patches of 8, 4 and 16 pixels, and the three pyramids of
`backbones` that see finer grids first, all trained at one resolution. Beside the standard measures:
top-1 at zooms ½ to 2, views of the same places cut from finer photographs where there are any
(`experiments.core.zoom`), and the share of top-1 at zoom 1 that is left on average.

Patches of 4 cost 5.6 times the multiply-accumulates of patches of 8, those of 16 a quarter; the
pyramids are within 7 % of patches of 8.

Command: ``python -m experiments run zoom && python -m experiments report zoom``. Hardware and time:
2 logical cores of an AMD EPYC, no GPU, about 25 minutes; runs of `backbones` in the same folder and
of the same code are not trained again. Record: ``experiments/records/zoom/``.

Chosen on data: nothing here. The peak learning rate is that of `patch_vs_wavelet`,
chosen there for the plain ViT with patches of 8; the pyramids' shape is that of `backbones`.
"""

from __future__ import annotations

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.backbones import BACKBONES

_PYRAMIDS = ("swin", "haar_pyramid", "dtcwt_pyramid")


def _variants() -> dict[str, RunConfig]:
    families = BACKBONES.configs()
    vit = families["vit"]
    patches = {f"vit patch {side}": changed(vit, {"model.patch_size": side}) for side in (4, 16)}
    return {"vit": vit, **patches, **{name: families[name] for name in _PYRAMIDS}}


ZOOM = Study(
    name="zoom",
    question="Does a ViT with one patch size lose more accuracy under zoom than a pyramid?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("vit patch 4", "vit", "model.patch_size"),
        Contrast("vit patch 16", "vit", "model.patch_size"),
        *(Contrast(name, "vit", "model") for name in _PYRAMIDS),
    ),
    measures=("zoom",),
)
