"""backbones: at equal cost and equal steps, which family learns `scenes` best?

The families at small scale, each in its own shape (tokenizer, mixers, downsampling, positions,
padding), with multiply-accumulates within 10 % of each other: ViT, Swin, PVT v2, ViT on
Haar-packet tokens, our Haar pyramid as it is shipped, the same on dual-tree magnitudes with a
low-pass before each coarser grid, and the Haar pyramid with one choice undone at a time: every
token attends to every other at stride 16 in place of the approximation band, and all four bands of
the tokens go from stage to stage in place of the approximation.

Command: ``python -m experiments run backbones && python -m experiments report backbones``.
Hardware and time: 2 logical cores of an Intel Xeon, no GPU, 15 minutes.
Expected: top-1 and S-Cons of dtcwt_pyramid 73 and 89 %, haar_pyramid 70 and 84, vit 66 and 80, the
pyramid with all bands 62 and 79. Record: ``experiments/records/backbones/``.

Chosen on data: the peak learning rate is that of `patch_vs_wavelet`, chosen there
for the plain ViT. The pyramid's shape was chosen on single runs that were trained on ``"fit"`` and
judged on ``"validation"`` crops, both from the training halves. Mixers: seven designs of three
stages, one or two seeds each, between 53.0 and 58.8 % (the plain ViT 51.1 %, one seed), while two
seeds of one design differed by up to 4.5 points; so cost decided. Downsampling, after the pyramid
with all bands had lost to the plain ViT on the test halves (62.2 against 65.3 %, three seeds): all
bands 54.4 and 51.2 %, a binomial low-pass 57.7 and 59.1, the approximation alone 58.0 and 59.2; the
plain ViT 51.0 and 56.7; strides halved to 2, 4, 8, 16 with all bands 54.7 (one seed). So the
pyramid had one more choice than its peers, none of it on a test half.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import small_vit
from wavevit.models import StageConfig, make_stages


def _pyramid_stages(embed_dims: tuple[int, ...], downsample: str) -> tuple[StageConfig, ...]:
    """The shipped pyramids' shape, of four stages."""
    return make_stages(
        depths=(1, 1, 2, 1),
        embed_dims=embed_dims,
        mlp_ratio=(2.0, 3.0, 4.0, 4.0),
        num_heads=(1, 2, 4, 6),
        mixer=("wavelet_conv", "wavelet_conv", "lowpass_kv", "global"),
        inject=(False, True, True, True),
        downsample=downsample,
    )


def _variants() -> dict[str, RunConfig]:
    vit = small_vit()
    swin = dataclasses.replace(
        vit,
        patch_size=4,
        token_norm=True,
        position="relative_bias",
        stages=make_stages(
            depths=(2, 2, 2),
            embed_dims=(28, 56, 96),
            num_heads=(1, 2, 3),
            mixer="window",
            mixer_options={"window_size": 4},
            downsample="patch_merging",
        ),
    )
    pvt = dataclasses.replace(
        vit,
        tokenizer="overlap",
        patch_size=4,
        token_norm=True,
        position="none",
        stage_norm=True,
        stages=make_stages(
            depths=(1, 1, 2, 1),
            embed_dims=(28, 56, 120, 160),
            num_heads=(1, 2, 4, 5),
            mixer="spatial_reduction",
            reduction=(8, 4, 2, 1),
            downsample="conv",
            mlp="conv",
        ),
    )
    haar_pyramid = dataclasses.replace(
        vit,
        tokenizer="dwt",
        patch_size=4,
        position="conv",
        padding="circular",
        stages=_pyramid_stages((36, 72, 144, 204), "dwt_ll"),
    )
    dtcwt_pyramid = dataclasses.replace(
        haar_pyramid,
        tokenizer="dtcwt",
        stages=_pyramid_stages((36, 72, 144, 204), "blur_pool"),
    )
    all_bands = tuple(
        dataclasses.replace(stage, downsample="dwt") if i else stage
        for i, stage in enumerate(haar_pyramid.stages)
    )
    direct = list(haar_pyramid.stages)
    direct[2] = dataclasses.replace(direct[2], mixer="global")
    models = {
        "vit": vit,
        "swin": swin,
        "pvt_v2": pvt,
        "haar_vit": dataclasses.replace(vit, tokenizer="dwt"),
        "haar_pyramid": haar_pyramid,
        "dtcwt_pyramid": dtcwt_pyramid,
        "haar_pyramid global at 16": dataclasses.replace(haar_pyramid, stages=tuple(direct)),
        "haar_pyramid all bands": dataclasses.replace(haar_pyramid, stages=all_bands),
    }
    optimizer = OptimizerConfig(lr=3e-3)
    return {name: RunConfig(model=model, optimizer=optimizer) for name, model in models.items()}


_NO_FACTORS: Mapping[str, float] = MappingProxyType({})
# What `six_backbones` gives, beside the baseline ``"vit"``.
OTHERS = ("haar_vit", "dtcwt_vit", "haar_pyramid", "dtcwt_pyramid", "swin")
SIX_CONTRASTS = Contrast.each(
    "vit",
    {name: "model.tokenizer" if name in ("haar_vit", "dtcwt_vit") else "model" for name in OTHERS},
)


def with_mlps(run: RunConfig, factor: float) -> RunConfig:
    """The run with the MLPs of all stages wider by a factor."""
    stages = tuple(
        dataclasses.replace(stage, mlp_ratio=factor * stage.mlp_ratio) for stage in run.model.stages
    )
    return dataclasses.replace(run, model=dataclasses.replace(run.model, stages=stages))


def six_backbones(
    task: str,
    task_options: Mapping[str, Any],
    batch_size: int = 64,
    mlps: Mapping[str, float] = _NO_FACTORS,
    **data: Any,
) -> dict[str, RunConfig]:
    """Runs of a task on the six backbones that studies of tasks compare.

    Args:
        task: name of the task.
        task_options: its options, the same for all.
        batch_size: examples per step.
        mlps: factors for the width of a backbone's MLPs. The head of a task, its inputs and its
            tokens cost more on one backbone than on another; with these the whole model costs what
            the plain ViT does (within 5 %).
        **data: fields of `DataConfig`.
    """
    families = _variants()
    vit = families["vit"]
    families["dtcwt_vit"] = dataclasses.replace(
        vit, model=dataclasses.replace(vit.model, tokenizer="dtcwt")
    )
    families |= {name: with_mlps(families[name], factor) for name, factor in mlps.items()}
    return {
        name: dataclasses.replace(
            families[name],
            task=task,
            task_options=task_options,
            data=DataConfig(**data),
            optimizer=dataclasses.replace(families[name].optimizer, batch_size=batch_size),
        )
        for name in ("vit", *OTHERS)
    }


BACKBONES = Study(
    name="backbones",
    question="At equal cost and equal steps, which family learns best?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("haar_vit", "vit", "model.tokenizer"),
        Contrast("haar_pyramid", "vit", "model"),
        Contrast("dtcwt_pyramid", "vit", "model"),
        Contrast("haar_pyramid global at 16", "haar_pyramid", "model.stages"),
        Contrast("haar_pyramid all bands", "haar_pyramid", "model.stages"),
    ),
)
