"""decoding (C15): how much of its picture does a token hold, in a linear way?

Whoever generates must come back to pixels; whoever recognises may forget them. For the plain ViT
and five ViTs with other tokens of the same number and width (study `tokenizers`), trained to
recognise and as initialised: the pixels of each patch from its own token by ridge regression,
from the first tokens and from those behind the last block. Fitted on crops of training halves,
judged on crops of test halves; 100 % is what a constant leaves.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.measurements.ridge import ridge
from experiments.measurements.samples import CROP
from experiments.measurements.subjects import SEEDS, state, trained, untrained
from experiments.studies.tokenizers import TOKENIZERS
from wavevit.data import Scenes
from wavevit.measure.evaluation import in_batches
from wavevit.models import Backbone

__all__ = ["PLACES", "SUBJECTS", "decoding_error", "measure", "patches_of"]

SUBJECTS = ("vit", "dwt, linear", "dwt", "swt", "dtcwt", "scattering")
PLACES = ("first", "last")  # tokens before positions and blocks, and behind the last block


def patches_of(images: Tensor, rows: int, columns: int) -> Tensor:
    """The pixels (N, rows · columns, C · h · w) of each cell of a grid over images (N, C, H, W)."""
    height, width = images.shape[2] // rows, images.shape[3] // columns
    cells = images.unflatten(3, (columns, width)).unflatten(2, (rows, height))
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def decoding_error(fitted: tuple[Tensor, Tensor], judged: tuple[Tensor, Tensor]) -> float:
    """Root mean square error in percent of pixels read from maps; two pairs of maps (N, D, h, w)
    and their images. 100 is that of the constant which is right on average."""
    features, pixels = [], []
    for maps, images in (fitted, judged):
        features.append(maps.flatten(2).transpose(1, 2).flatten(0, 1))
        pixels.append(patches_of(images, *maps.shape[2:]).flatten(0, 1).double())
    missed = pixels[1] - ridge(features[0], pixels[0], features[1])
    return 100 * float(missed.norm() / (pixels[1] - pixels[0].mean()).norm())


def _errors(model: Backbone, fitted: Tensor, judged: Tensor) -> dict[str, float]:
    found = {}
    for place, index in zip(PLACES, (-1, len(model.feature_info) - 1), strict=True):
        maps = partial(state, model, index=index)
        sides = [(in_batches(maps, images, 128), images) for images in (fitted, judged)]
        found[place] = decoding_error(*sides)
    return found


def measure(runs: Path, crops: int = 20) -> dict[str, Any]:
    """By model and seed, percent: error of pixels from first and last tokens."""
    sides = []
    for split, seed in (("train", 43_000), ("test", 44_000)):
        scenes = Scenes(split, CROP)
        generator = torch.Generator().manual_seed(seed)
        sides.append(scenes.sample(crops * len(scenes.classes), generator).images)
    configs = TOKENIZERS.configs()
    found: dict[str, dict[str, list[float]]] = {}
    for name in SUBJECTS:
        makers = {
            "trained": partial(trained, runs, name, study="tokenizers"),
            "untrained": partial(untrained, configs[name].model, changes={}),
        }
        for how, make in makers.items():
            errors = [_errors(make(seed), *sides) for seed in SEEDS]
            found[f"{name}, {how}"] = {place: [e[place] for e in errors] for place in PLACES}
    return {
        "seeds": list(SEEDS),
        "crops": {"fitted": len(sides[0]), "judged": len(sides[1])},
        "models": found,
    }
