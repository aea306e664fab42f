"""vocabulary (C13): do features get richer with capacity and training, and do they transfer?

The ViTs of study `capacity` and the same untrained. Effective rank of the embedding on held-out
crops; a linear probe on a task that training never saw, whose labels come with the picture: by how
many quarter turns a crop is rotated (chance 25 %). The probe is fitted on training halves and
judged on test halves. Steps count data too: every step draws new crops.

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

from experiments.measurements.samples import CROP, by_photograph
from experiments.measurements.subjects import SEEDS, embed, trained, untrained
from experiments.studies.capacity import CAPACITY
from wavevit.data import Scenes
from wavevit.measure import effective_rank, n_term_error
from wavevit.measure.evaluation import in_batches
from wavevit.wavelets import dwt2

__all__ = ["SHARE", "UNTRAINED", "measure", "orthonormal_pyramid", "probe", "turned"]

UNTRAINED = ("vit", "width 32", "width 128")
SHARE = 0.05  # of the coefficients, for the n-term error
_RIDGE = 1e-3  # per sample, on features of variance 1
_LEVELS = 3


def turned(split: str, crops: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (N, 1, S, S) that were rotated, by how many quarter turns, and of which photograph."""
    scenes = Scenes(split, CROP)
    batch = scenes.sample(crops * len(scenes.classes), torch.Generator().manual_seed(seed))
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
    mean, std = fitted.mean(dim=0), fitted.std(dim=0).clamp_min(1e-12)
    one = [F.pad(((x - mean) / std).double(), (0, 1), value=1.0) for x in (fitted, judged)]
    wanted = F.one_hot(labels).double()
    gram = one[0].T @ one[0] + _RIDGE * len(labels) * torch.eye(one[0].shape[1]).double()
    weights = torch.linalg.solve(gram, one[0].T @ wanted)
    return 100 * float(((one[1] @ weights).argmax(dim=1) == answers).double().mean())


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


def measure(runs: Path, fit_crops: int = 40, test_crops: int = 30) -> dict[str, Any]:
    """By model and seed: effective rank, features, accuracy of the probe; n-term errors."""
    capacity = runs.parent / CAPACITY.name
    fitted, turns, _ = turned("train", fit_crops, 40_000)
    judged, answers, _ = turned("test", test_crops, 41_000)
    upright = Scenes("test", CROP)
    batch = upright.sample(
        test_crops * len(upright.classes), torch.Generator().manual_seed(42_000)
    )
    found: dict[str, dict[str, list[float]]] = {}
    for name, config in CAPACITY.configs().items():
        for kind in ("trained", "untrained"):
            if kind == "untrained" and name not in UNTRAINED:
                continue
            own: dict[str, list[float]] = {"rank": [], "dim": [], "probe": []}
            for seed in SEEDS:
                model = (
                    trained(capacity, name, seed, study=CAPACITY.name)
                    if kind == "trained"
                    else untrained(config.model, seed, {})
                )
                features = partial(embed, model)
                rank = effective_rank(features, batch.images, resamples=2)
                own["rank"].append(rank.rank)
                own["dim"].append(float(rank.dim))
                sides = [in_batches(features, images, 128) for images in (fitted, judged)]
                own["probe"].append(probe(sides[0], turns, sides[1], answers))
            found[name if kind == "trained" else f"{name}, untrained"] = own
    return {
        "photographs": list(upright.classes),
        "seeds": list(SEEDS),
        "crops": {"fitted": len(fitted), "judged": len(judged)},
        "share": SHARE,
        "n_term": _n_term(batch.images, batch.labels),
        "models": found,
    }
