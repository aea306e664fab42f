"""How well can a linear map read the pixels of a patch from its token? (claim C15)

A model that generates must return to pixels; a model that recognises may discard them. For the
plain ViT and five ViTs with other tokens of the same number and width (study `tokenizers`),
trained to recognise and as initialised: the pixels of each patch from its own token by ridge
regression, from the first tokens and from those behind the last block. Fitted on crops of training
halves, judged on crops of test halves; 100 % is what a constant leaves.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from experiments.core.measurement import Measurement
from experiments.measurements.ridge import ridge
from experiments.measurements.samples import crops_of
from experiments.measurements.subjects import SEEDS, both_ways, state
from experiments.studies.tokenizers import TOKENIZERS
from wavevit.measure.evaluation import in_batches
from wavevit.models import Backbone
from wavevit.progress import in_steps

SUBJECTS = ("vit", "dwt, linear", "dwt", "swt", "dtcwt", "scattering")
PLACES = ("first", "last")  # tokens before positions and blocks, and behind the last block


def patches_of(images: Tensor, rows: int, columns: int) -> Tensor:
    """The pixels (N, rows · columns, C · h · w) of each cell of a grid over images (N, C, H, W)."""
    sides = images.shape[2] // rows, images.shape[3] // columns
    return F.unfold(images, sides, stride=sides).transpose(1, 2)


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
    sides = [crops_of("train", crops, 43_000)[1].images, crops_of("test", crops, 44_000)[1].images]
    found = {}
    makers = both_ways(runs, TOKENIZERS, SUBJECTS)
    for name in in_steps(makers):
        errors = [_errors(makers[name](seed), *sides) for seed in SEEDS]
        found[name] = {place: [e[place] for e in errors] for place in PLACES}
    return {
        "seeds": list(SEEDS),
        "crops": {"fitted": len(sides[0]), "judged": len(sides[1])},
        "models": found,
    }


MEASUREMENT = Measurement(
    name="decoding",
    question="How well can a linear map read the pixels of a patch from its token?",
    measure=measure,
)
