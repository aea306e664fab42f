"""Do features get richer with training and capacity, and do they transfer? (claim C13)

Models of study `backbones`, trained and as initialised, and untrained ViTs of other widths.
Effective rank of the embedding on held-out crops; a linear probe on a task that training never
saw, whose labels come with the picture: by how many quarter turns a crop is rotated (chance 25 %).
The probe is fitted on training halves and judged on test halves.

The n-term error belongs to a transform and not to weights: Haar's and db4's beside that of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.evaluation import embed
from experiments.core.measurement import Measurement
from experiments.measurements.ridge import ridge
from experiments.measurements.samples import by_photograph, crops_of
from experiments.measurements.subjects import SEEDS, both_ways, untrained
from experiments.studies.backbones import BACKBONES
from experiments.studies.capacity import CAPACITY
from wavevit.measure import effective_rank, n_term_error
from wavevit.measure.evaluation import in_batches
from wavevit.progress import in_steps
from wavevit.wavelets import dwt2

SUBJECTS = ("vit", "haar_vit", "haar_pyramid", "dtcwt_pyramid")
WIDTHS = ("width 32", "width 128")  # of study capacity; its baseline is the same vit
SHARE = 0.05  # of the coefficients, for the n-term error
_LEVELS = 3


def turned(split: str, crops: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (N, 1, S, S) that were rotated, by how many quarter turns, and of which photograph."""
    _, batch = crops_of(split, crops, seed)
    turns = torch.randint(
        0, 4, (len(batch.images),), generator=torch.Generator().manual_seed(seed + 1)
    )
    images = [
        image.rot90(turn, (-2, -1))
        for image, turn in zip(batch.images, turns.tolist(), strict=True)
    ]
    return torch.stack(images), turns, batch.labels


def probe(fitted: Tensor, labels: Tensor, judged: Tensor, answers: Tensor) -> float:
    """Accuracy in percent of a ridge classifier on features (N, D), fitted on the first two."""
    scores = ridge(fitted, F.one_hot(labels).double(), judged)
    return 100 * float((scores.argmax(dim=1) == answers).double().mean())


def orthonormal_pyramid(images: Tensor, wavelet: str) -> Tensor:
    """Coefficients (N, C·H·W) of `_LEVELS` levels; as many as pixels, with the same energy."""
    parts, approximation = [], images
    for _ in range(_LEVELS):
        bands = dwt2(approximation, wavelet, mode="periodization")
        parts.append(bands[:, :, 1:].flatten(1))
        approximation = bands[:, :, 0]
    return torch.cat([*parts, approximation.flatten(1)], dim=1)


def _n_term(images: Tensor, labels: Tensor) -> dict[str, list[float]]:
    transforms: dict[str, Callable[[Tensor], Tensor]] = {
        "pixels": lambda x: x.flatten(1),
        "haar": partial(orthonormal_pyramid, wavelet="haar"),
        "db4": partial(orthonormal_pyramid, wavelet="db4"),
    }
    return {
        name: by_photograph(
            torch.tensor(
                [n_term_error(analyse, x[None], shares=(SHARE,)).errors[0] for x in images]
            ),
            labels,
        )
        for name, analyse in transforms.items()
    }


def measure(runs: Path, fit_crops: int = 20, test_crops: int = 20) -> dict[str, Any]:
    """By model and seed: effective rank, features, accuracy of the probe; n-term errors."""
    fitted, turns, _ = turned("train", fit_crops, 40_000)
    judged, answers, _ = turned("test", test_crops, 41_000)
    upright, batch = crops_of("test", test_crops, 42_000)
    makers = both_ways(runs, BACKBONES, SUBJECTS)
    for name in WIDTHS:
        model = CAPACITY.configs()[name].model
        makers[f"{name}, untrained"] = partial(untrained, model, changes={})
    found: dict[str, dict[str, list[float]]] = {}
    for name in in_steps(makers):
        own: dict[str, list[float]] = {"rank": [], "dim": [], "probe": []}
        for seed in SEEDS:
            features = partial(embed, makers[name](seed))
            rank = effective_rank(features, batch.images, resamples=2)  # seeds give the interval
            own["rank"].append(rank.rank)
            own["dim"].append(float(rank.dim))
            sides = [in_batches(features, images, 128) for images in (fitted, judged)]
            own["probe"].append(probe(sides[0], turns, sides[1], answers))
        found[name] = own
    return {
        "photographs": list(upright.classes),
        "seeds": list(SEEDS),
        "crops": {"fitted": len(fitted), "judged": len(judged), "ranked": len(batch.images)},
        "share": SHARE,
        "n_term": _n_term(batch.images, batch.labels),
        "models": found,
    }


MEASUREMENT = Measurement(
    name="vocabulary",
    question="Do features get richer with training and capacity, and do they transfer?",
    measure=measure,
)
