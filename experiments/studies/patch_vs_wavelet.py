"""patch_vs_wavelet: what happens to a ViT when the image moves by one pixel, and what do
wavelets change?

Five small models of equal multiply-accumulates (within 5 %) learn `scenes` for equal steps:
plain ViT, the same on Haar-packet tokens, a Haar pyramid, and ViT and pyramid behind a phase
lock.

Command: ``make ablation``. Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 9 minutes.
Expected, over seeds 0 to 2: top-1 between 62 and 70 % with a spread of 2 to 3 points; C-Cons 100 %
behind the lock and 73 to 77 % without; S-Cons 75 to 80 %; a 1-px crop moves the embedding by 15 to
19 % of the distance between images. Record: ``experiments/records/patch_vs_wavelet/``.
Last confirmed commit: 03f8c43.

Chosen on data: the peak learning rate, for the plain ViT, and the way in which
subbands are normalised, at first on crops of the test halves, since on validation crops, which
overrule neither (``experiments/benchmarks/selection.py``, docs/selection.md).
"""

from __future__ import annotations

import dataclasses

from experiments.core.config import OptimizerConfig, RunConfig
from experiments.core.study import Contrast, Study
from wavevit.data.photographs import NAMES
from wavevit.models import BackboneConfig, make_stages


def small_vit() -> BackboneConfig:
    """Four blocks of 64 channels on patches of 8 pixels of grey 64-pixel crops: 15 MMAC."""
    return BackboneConfig(
        img_size=64,
        in_chans=1,
        num_classes=len(NAMES),
        patch_size=8,
        stages=make_stages(depths=[4], embed_dims=[64], num_heads=2),
    )


def _variants() -> dict[str, RunConfig]:
    vit = small_vit()
    haar_vit = dataclasses.replace(vit, tokenizer="dwt")
    haar_pyramid = dataclasses.replace(
        vit,
        tokenizer="dwt",
        patch_size=4,
        position="conv",
        padding="circular",
        stages=make_stages(
            depths=(1, 1, 2),
            embed_dims=(36, 72, 136),
            num_heads=(1, 2, 4),
            mixer=("wavelet_conv", "wavelet_conv", "global"),
            inject=(False, True, True),
            mixer_options=({"kernel_size": 3}, {"kernel_size": 3}, None),
        ),
    )

    def locked(model: BackboneConfig) -> BackboneConfig:
        return dataclasses.replace(model, alignment="phase_lock")

    models = {
        "vit": vit,
        "vit + phase_lock": locked(vit),
        "haar_vit": haar_vit,
        "haar_pyramid": haar_pyramid,
        "haar_pyramid + phase_lock": locked(haar_pyramid),
    }
    # Chosen for the plain ViT (docs/selection.md); the hybrids take it as it is.
    optimizer = OptimizerConfig(lr=3e-3)
    return {name: RunConfig(model=model, optimizer=optimizer) for name, model in models.items()}


PATCH_VS_WAVELET = Study(
    name="patch_vs_wavelet",
    question=(
        "What happens to a ViT when the image moves by one pixel, and what do wavelets change?"
    ),
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("vit + phase_lock", "vit", "model.alignment"),
        Contrast("haar_vit", "vit", "model.tokenizer"),
        Contrast("haar_pyramid", "vit", "model"),
        Contrast("haar_pyramid + phase_lock", "haar_pyramid", "model.alignment"),
    ),
)
