"""adaptive: should tokens go where the detail is?

The plain ViT of `patch_vs_wavelet` with uniform patches of 8, 12 and 16 pixels, and with adaptive
ones of 8 to 64 pixels, about half as many as the finest grid has, chosen by a hard split (as
published), by a soft split of the same energies and of undecimated ones, and at random with equal
counts, which is the control that matters: if it is as good, fewer tokens are enough and their
places do not matter. Equal steps.

An edge of 64 pixels is not a multiple of 12: there the border is repeated to 72 pixels, 36 tokens.
Budgets are set for equal numbers of computed tokens, 34 of the finest grid's 64. A soft split
computes both a patch and its parts while their weights are between 0 and 1, so its sum of weights
is smaller: 26 for 34 tokens. That was counted on `reference_crops`, which are of the training
halves; the rule of `equal_tokens`, which sets the budgets on other data, gives the same. With
``--scale large`` budgets grow as the grid does, and 12 divides the side of a crop: there the
uniform grid of 12-pixel patches has fewer tokens than the adaptive models.

Beside the standard measures: tokens of an image, how many of them a crop by one pixel changes, and
accuracy of each trained model with other budgets.

Command: ``python -m experiments run adaptive --jobs 2 && python -m experiments report adaptive``.
Expected time: 15 minutes on 2 quiet cores. Record: ``experiments/records/adaptive/``. Nothing in it
was chosen on data; the peak learning rate is the one that `patch_vs_wavelet` chose for the plain
ViT.

On other data (`ADAPTIVE.data_sets`, records ``experiments/records/adaptive_DATA/``) the claim needs
four variants: ``--variants vit "vit, patch 12" adaptive "adaptive, random"``, 25 core-minutes for
three seeds. Budgets are counted on the training pictures. The peak rate stays: the study `carry`
found the same one for the plain ViT on validation pictures of both data sets.

Targets, set before the first run: the soft split at most a standard deviation below the uniform
grid of 64 tokens in top-1, above the random choice, and not below the uniform grid in S-Cons.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.core.config import RunConfig, changed
from experiments.core.data_choice import DataChoice
from experiments.core.study import Contrast, Study
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.data import Source
from wavevit.layers.tokenizers import AdaptiveOptions, AdaptiveTokenizer

_ADAPTIVE: dict[str, dict[str, Any]] = {
    "adaptive": {"budget": 26},
    "adaptive, swt": {"budget": 26, "energy": "swt"},
    "adaptive, hard": {"budget": 34, "splitting": "hard"},
    "adaptive, random": {"budget": 34, "splitting": "hard", "energy": "random"},
}


# Computed tokens of an adaptive model as a share of its finest grid, and the training crops on
# which the tokens of a soft split are counted.
_COMPUTED, _COUNTED_CROPS = Fraction(34, 64), 512


def equal_tokens(runs: Mapping[str, RunConfig], source: Source) -> dict[str, RunConfig]:
    """The runs with the budgets with which all adaptive models compute as many tokens.

    A hard split computes as many as its budget says. The budget of a soft one is the whole number
    with which the mean over training crops is nearest to that.

    Args:
        runs: variants by name.
        source: of their training pictures.
    """
    crops = source.sample(_COUNTED_CROPS, torch.Generator().manual_seed(0))["images"]
    found = dict(runs)
    for name, run in runs.items():
        options = run.model.options("tokenizer")
        if isinstance(options, AdaptiveOptions):
            cells = (crops.shape[-2] // run.model.patch_size) * (
                crops.shape[-1] // run.model.patch_size
            )
            wanted = round(_COMPUTED * cells)
            budget = budget_of_computed(options, run.model.patch_size, crops, wanted)
            options = dataclasses.replace(options, budget=budget)
            found[name] = changed(run, {"model.tokenizer_options": options})
    return found


def budget_of_computed(options: AdaptiveOptions, patch: int, images: Tensor, wanted: int) -> int:
    """The budget with which a model computes about so many tokens of an image.

    Args:
        options: of its tokenizer.
        patch: side of its finest patches in pixels.
        images: (B, C, H, W), of which the mean counts.
        wanted: tokens of an image.
    """
    if options.splitting == "hard":
        return wanted

    @cache
    def computed(budget: int) -> float:
        own = dataclasses.replace(options, budget=budget)
        tokenizer = AdaptiveTokenizer(images.shape[1], 1, patch, options=own)
        levels = tokenizer.weights_of(images)
        return sum(int((level > 0).sum()) for level in levels) / len(images)

    # A token is computed where its weight is above 0: there are at least as many as the budget.
    above = bisect_left(range(1, wanted), float(wanted), key=computed) + 1
    return min((max(above - 1, 1), above), key=lambda budget: abs(computed(budget) - wanted))


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
    fitted=equal_tokens,
    data_sets=(
        DataChoice(photographs=Path("gcompris"), source_options=("duplicates=drop",)),
        DataChoice(source="elpv"),
    ),
)
