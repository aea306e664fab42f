"""alias_free: what must a backbone give up so that nothing aliases, and which of its parts matter?

The plain ViT and the Haar pyramid of `patch_vs_wavelet`, an alias-free pyramid of equal
multiply-accumulates (within 5 %), and that pyramid with one part taken out at a time, trained on
`scenes` for equal steps. Predicted: C-Cons 100 % with all parts and with neither stem nor modulus,
less without the low-pass; S-Cons at least 6 points above `vit` at no less top-1.

Command: ``python -m experiments run alias_free && python -m experiments report alias_free``.
Record: ``experiments/records/alias_free/``, trained on an H100 in six minutes, four runs side by
side (``--device cuda --jobs 4``), timed on two CPU cores, where all of it takes about an hour.
Nothing in it was selected on any data; the top-1 of two seeds was known from a run that was cut off
(docs/lab-log.md, 2026-11-26). The peak learning rate is the one that `patch_vs_wavelet` chose for
the plain ViT.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.core.config import RunConfig
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.layers.tokenizers import AliasFreeOptions
from wavevit.models import make_stages

__all__ = ["ALIAS_FREE"]

# Each takes one part out of the alias-free pyramid: one field of its configuration.
_WITHOUT: dict[str, tuple[str, Any]] = {
    "no stem": ("tokenizer_options.stem_depth", 0),
    "no low-pass": ("low_pass", "none"),
    "short low-pass": ("low_pass", "short"),
    "norm per token": ("norm", "token"),
    "gelu at token rate": ("activation", "gelu"),
    "no modulus": ("subband_act", False),
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
    model = dataclasses.replace(
        vit.model,
        stages=stages,
        tokenizer="alias_free",
        tokenizer_options=AliasFreeOptions(stem_width=8),
        position="none",
        padding="circular",
        norm="map",
        activation="gate",
        pool="power",
    )
    runs = {
        "vit": vit,
        "haar_pyramid": peers["haar_pyramid"],
        "alias_free": dataclasses.replace(vit, model=model),
    }
    for name, (field, value) in _WITHOUT.items():
        changed = _with(model, field, value)
        runs[name] = dataclasses.replace(vit, model=changed)
    return runs


def _with(config: Any, field: str, value: Any) -> Any:
    """A copy with one field changed, given by its dotted path."""
    name, _, inner = field.partition(".")
    changed = _with(getattr(config, name), inner, value) if inner else value
    return dataclasses.replace(config, **{name: changed})


ALIAS_FREE = Study(
    name="alias_free",
    question="What does a backbone in which nothing aliases buy, and which of its parts matter?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("haar_pyramid", "vit", "model"),
        Contrast("alias_free", "vit", "model"),
        *(Contrast(name, "alias_free", f"model.{field}") for name, (field, _) in _WITHOUT.items()),
    ),
)
