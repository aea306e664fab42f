"""Does a shift of the image only permute the tokens inside a model? (claim C3)

After the tokenizer and after every block of a ViT, the tokens of an image and of the circularly
shifted image are matched one to one at the least total distance (an assignment problem). What the
best permutation leaves is the residual, in units of a token's root mean square size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from experiments.core.measurement import Measurement
from experiments.measurements.samples import CROP, by_photograph, mean_over, photographs
from experiments.measurements.subjects import SEEDS, state, trained, untrained
from experiments.studies.patch_vs_wavelet import small_vit
from wavevit.measure.shifting import center_crop
from wavevit.models import Backbone
from wavevit.progress import in_steps

SHIFTS = (1, 4, 8, 16)
# Positions that are not learned leave no choice but random weights: no study trains the plain ViT
# of `backbones` with them.
SUBJECTS = ("learned, trained", "learned", "none", "conv")


def residual(before: Tensor, after: Tensor) -> Tensor:
    """What the best permutation of the tokens leaves of the change, (B,), for maps (B, D, h, w)."""
    one, two = (x.flatten(2).transpose(1, 2).double() for x in (before, after))
    scale = one.square().sum(2).mean(1).sqrt()
    found = []
    for a, b, unit in zip(one, two, scale, strict=True):
        distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        rows, columns = linear_sum_assignment(distances.numpy())
        found.append(distances[rows, columns].mean() / unit)
    return torch.stack(found)


def _subject(name: str, runs: Path, seed: int) -> Backbone:
    if name == "learned, trained":
        return trained(runs, "vit", seed)
    position = name.partition(",")[0]
    changes = {"position": position, "padding": "circular" if position == "conv" else "zeros"}
    return untrained(small_vit(), seed, changes)


def measure(runs: Path, crops: int = 2) -> dict[str, Any]:
    """The residual by shift and depth: the first tokens, then every block."""
    scenes, batch = photographs(crops)
    images = center_crop(batch.images, (CROP, CROP)).double()
    depth = small_vit().stages[0].depth
    found: dict[str, Any] = {}
    with torch.no_grad():
        for name in in_steps(SUBJECTS):
            models = [_subject(name, runs, seed).double() for seed in SEEDS]
            found[name] = {str(shift): [] for shift in SHIFTS}
            for index in range(-1, depth):
                before = [state(model, images, index) for model in models]
                for shift in SHIFTS:
                    moved = torch.roll(images, shift, dims=-1)
                    values = [
                        by_photograph(residual(b, state(model, moved, index)), batch.labels)
                        for b, model in zip(before, models, strict=True)
                    ]
                    found[name][str(shift)].append(mean_over(values))
    return {"photographs": list(scenes.classes), "seeds": list(SEEDS), "residual": found}


MEASUREMENT = Measurement(
    name="permutation",
    question="Does a shift of the image only permute the tokens inside a model?",
    measure=measure,
)
