"""positions: are absolute positions the most sensitive to shifts?

The plain ViT with each kind of position encoding. Relative biases live in window attention
only, so every variant's mixer is one window that covers the whole grid of 8 x 8 tokens: the same
function as global attention (a test holds it), at the same cost. Padding is that of the plain ViT
(zeros); five seeds, since effects are small.

Command: ``python -m experiments run positions && python -m experiments report positions``. Hardware
and time: 2 logical cores of an AMD EPYC, no GPU, about 20 minutes. Record:
``experiments/records/positions/``.

Chosen on data: nothing here. The peak learning rate is that of `patch_vs_wavelet`,
chosen there for learned positions.
"""

from __future__ import annotations

import dataclasses

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET

_GRID = 8  # tokens a side: crops of 64 pixels, patches of 8
_OTHERS = ("sincos", "relative_bias", "rope", "conv", "none")


def _variants() -> dict[str, RunConfig]:
    vit = PATCH_VS_WAVELET.configs()["vit"]
    (only,) = vit.model.stages
    window = dataclasses.replace(only, mixer="window", mixer_options={"window_size": _GRID})
    learned = changed(vit, {"model.stages": (window,)})
    others = {name: changed(learned, {"model.position": name}) for name in _OTHERS}
    return {"learned": learned, **others}


POSITIONS = Study(
    name="positions",
    question="Are absolute positions the most sensitive to shifts?",
    variants=_variants,
    baseline="learned",
    contrasts=Contrast.each("learned", dict.fromkeys(_OTHERS, "model.position")),
    seeds=(0, 1, 2, 3, 4),
)
