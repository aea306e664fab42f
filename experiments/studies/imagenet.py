"""imagenet: do wavelet tokens help at 224 px, on ImageNet-1k or any other folder of classes?

The core comparison of the small studies at the size of ViT-S: plain ViT, the same on a
convolutional stem, on Haar-packet, undecimated and dual-tree tokens, behind a phase lock, and Swin
and two pyramids in their own shape. Recipe: `experiments.core.recipes.deit3`, 100 epochs.

Command: ``torchrun --nproc-per-node 8 -m experiments run imagenet --source-options path=FOLDER``
with the folders ``train`` and ``val`` of ImageNet-1k below FOLDER. ``--variants vit dtcwt`` trains
two of them. Cost: `python -m experiments bench imagenet_cost`, on the page `docs/scale.md`. Not
recorded yet. Chosen on data: nothing.

`imagenet_trial` is the same chain with the smallest models, 20 steps of 8 crops of 64 px: it says
in a minute whether the data can be read and everything works.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.core.recipes import AUGMENTATION, REPEATS, deit3
from experiments.core.study import Contrast, Study
from wavevit.models import BackboneConfig, model_config

IMAGES, CLASSES, EPOCHS = 1_281_167, 1000, 100
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NAMES = ("vit_small_patch16", "swin_tiny", "haar_pyramid_small")
_TOKENIZERS = {"conv_stem": "conv_stem", "haar_vit": "dwt", "swt": "swt", "dtcwt": "dtcwt"}


def _models(small: bool) -> dict[str, BackboneConfig]:
    """The models, those of ViT-S's size or the smallest ones."""
    names = ("test_vit", "test_swin", "test_haar_pyramid") if small else _NAMES
    vit, swin, haar_pyramid = (model_config(name) for name in names)
    first, *later = haar_pyramid.stages
    lowpass = [dataclasses.replace(stage, downsample="blur_pool") for stage in later]
    dtcwt_pyramid = dataclasses.replace(haar_pyramid, tokenizer="dtcwt", stages=(first, *lowpass))
    return {
        "vit": vit,
        **{
            name: dataclasses.replace(vit, tokenizer=tokenizer)
            for name, tokenizer in _TOKENIZERS.items()
        },
        "vit + phase_lock": dataclasses.replace(vit, alignment="phase_lock"),
        "swin": swin,
        "haar_pyramid": haar_pyramid,
        "dtcwt_pyramid": dtcwt_pyramid,
    }


def _variants(trial: bool = False) -> dict[str, RunConfig]:
    size = 64 if trial else 224
    data = DataConfig(
        source="folder",
        source_options=(
            ("color", True),
            ("mean", _MEAN),
            ("std", _STD),
            # Squares of 35 to 100 % of the shorter side in training, all of it in tests: a crop of
            # 224 pixels is the middle of 256, as usual.
            ("scale", (0.35, 1.0)),
            ("workers", 2 if trial else 12),
        ),
        crop_size=size,
        margin=16,
        test_crops=16 if trial else 50_000,
        measured_crops=8 if trial else 512,
    )
    runs = {}
    for name, model in _models(trial).items():
        model = dataclasses.replace(
            model, img_size=size, num_classes=CLASSES, drop_path_rate=0.0 if trial else 0.05
        )
        run = RunConfig(model=model, data=data)
        if trial:
            optimizer = OptimizerConfig(steps=20, batch_size=8, warmup_steps=4)
            mixed = dataclasses.replace(
                data, augmentation=AUGMENTATION, mixup=0.8, cutmix=1.0, repeats=REPEATS
            )
            run = dataclasses.replace(run, optimizer=optimizer, data=mixed, checkpoint_every=10)
        else:
            run = deit3(run, IMAGES, EPOCHS)
        runs[name] = run
    return runs


_CONTRASTS = Contrast.each(
    "vit",
    {
        **dict.fromkeys(_TOKENIZERS, "model.tokenizer"),
        "vit + phase_lock": "model.alignment",
        **dict.fromkeys(("swin", "haar_pyramid", "dtcwt_pyramid"), "model"),
    },
)

IMAGENET = Study(
    name="imagenet",
    question="Do wavelet tokens help at 224 px, on ImageNet-1k?",
    variants=_variants,
    baseline="vit",
    contrasts=_CONTRASTS,
    seeds=(0,),
    scales=("default",),
)

IMAGENET_TRIAL = Study(
    name="imagenet_trial",
    question="Does the study imagenet run on this machine with these data (a short trial)?",
    variants=partial(_variants, trial=True),
    baseline="vit",
    contrasts=_CONTRASTS,
    seeds=(0,),
    scales=("default",),
)
