"""alias_free: what must a backbone give up so that nothing aliases, and which of its parts matter?

The plain ViT and the Haar pyramid of `patch_vs_wavelet`, an alias-free pyramid of equal
multiply-accumulates (within 5 %), and that pyramid with one component removed at a time, trained on
`scenes` for equal steps. Predicted: C-Cons 100 % with all parts and with neither stem nor modulus,
less without the low-pass; S-Cons at least 6 points above `vit` at no less top-1.

Command: ``python -m experiments run alias_free && python -m experiments report alias_free``.
Record: ``experiments/records/alias_free/``, trained on an H100 in six minutes, four runs side by
side (``--device cuda --jobs 4``), timed on two CPU cores, where all of it takes about an hour.
Nothing in it was chosen on data; the top-1 of two seeds was known from a run that was cut off
(docs/lab-log.md, 2026-11-26). The peak learning rate is the one that `patch_vs_wavelet` chose for
the plain ViT.
"""

from __future__ import annotations

from typing import Any

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.layers.tokenizers import AliasFreeOptions
from wavevit.models import make_stages

# Each takes one part out of the alias-free pyramid: one field of its configuration.
_WITHOUT: dict[str, tuple[str, Any]] = {
    "no stem": ("model.tokenizer_options.stem_depth", 0),
    "no low-pass": ("model.low_pass", "none"),
    "short low-pass": ("model.low_pass", "short"),
    "norm per token": ("model.norm", "token"),
    "gelu at token rate": ("model.activation", "gelu"),
    "no modulus": ("model.subband_act", False),
}


def _variants() -> dict[str, RunConfig]:
    peers = PATCH_VS_WAVELET.configs()
    vit = peers["vit"]
    stages = make_stages(
        depths=(1, 2),
        embed_dims=(64, 128),
        num_heads=(2, 4),
        mixer="covariance",
        downsample="band_limited",
        mlp="conv",
        mlp_ratio=2.0,
    )
    alias_free = changed(
        vit,
        {
            "model.stages": stages,
            "model.tokenizer": "alias_free",
            "model.tokenizer_options": AliasFreeOptions(stem_width=8),
            "model.position": "none",
            "model.padding": "circular",
            "model.norm": "map",
            "model.activation": "gate",
            "model.pool": "power",
        },
    )
    runs = {"vit": vit, "haar_pyramid": peers["haar_pyramid"], "alias_free": alias_free}
    for name, (field, value) in _WITHOUT.items():
        runs[name] = changed(alias_free, {field: value})
    return runs


ALIAS_FREE = Study(
    name="alias_free",
    question="What does a backbone without aliasing gain, and which of its layers matter?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        *Contrast.each("vit", {"haar_pyramid": "model", "alias_free": "model"}),
        *Contrast.each("alias_free", {name: field for name, (field, _) in _WITHOUT.items()}),
    ),
)
