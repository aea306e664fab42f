"""adaptive: should tokens go where the detail is?

The plain ViT of `patch_vs_wavelet` with uniform patches of 8, 12 and 16 pixels, and with adaptive
ones of 8 to 64 pixels, about half as many as the finest grid has, chosen by a hard split (as
published), by a soft split of the same energies and of undecimated ones, and at random with equal
counts, which is the control that matters: if it is as good, fewer tokens are enough and their
places do not matter. Equal steps.

An edge of 64 pixels is not a multiple of 12: there the border is repeated to 72 pixels, 36 tokens.
Budgets are set for equal numbers of computed tokens: a soft split computes both a patch and its
parts while their weights are between 0 and 1, so its sum of weights is smaller (26 for 34 tokens,
counted on `reference_crops`, which are of the training halves).

Beside the standard measures: tokens of an image, how many of them a crop by one pixel changes, and
accuracy of each trained model with other budgets.

Command: ``python -m experiments run adaptive --jobs 2 && python -m experiments report adaptive``.
Expected time: 15 minutes on 2 quiet cores. Record: ``experiments/records/adaptive/``. Nothing in it
was chosen on data; the peak learning rate is the one that `patch_vs_wavelet` chose for the plain
ViT.

Targets, set before the first run: the soft split at most a standard deviation below the uniform
grid of 64 tokens in top-1, above the random choice, and not below the uniform grid in S-Cons.
"""

from __future__ import annotations

from typing import Any

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET

_ADAPTIVE: dict[str, dict[str, Any]] = {
    "adaptive": {"budget": 26},
    "adaptive, swt": {"budget": 26, "energy": "swt"},
    "adaptive, hard": {"budget": 34, "splitting": "hard"},
    "adaptive, random": {"budget": 34, "splitting": "hard", "energy": "random"},
}


def _variants() -> dict[str, RunConfig]:
    vit = PATCH_VS_WAVELET.configs()["vit"]
    patches = {f"vit, patch {side}": changed(vit, {"model.patch_size": side}) for side in (12, 16)}
    adaptive = {
        name: changed(vit, {"model.tokenizer": "adaptive", "model.tokenizer_options": options})
        for name, options in _ADAPTIVE.items()
    }
    return {"vit": vit, **patches, **adaptive}


ADAPTIVE = Study(
    name="adaptive",
    question="Should tokens go where the detail is?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("vit, patch 12", "vit", "model.patch_size"),
        Contrast("vit, patch 16", "vit", "model.patch_size"),
        Contrast("adaptive", "vit", "model"),
        Contrast("adaptive", "vit, patch 12", "model"),
        Contrast("adaptive", "adaptive, random", "model.tokenizer_options"),
        Contrast("adaptive, hard", "adaptive, random", "model.tokenizer_options.energy"),
        Contrast("adaptive", "adaptive, hard", "model.tokenizer_options"),
        Contrast("adaptive, swt", "adaptive", "model.tokenizer_options.energy"),
    ),
    measures=("tokens",),
)
