"""Do features group crops by photograph, and by kind, without training on text? (claim C16)

The supervised side of what a text tower is said to do better, on models of study `backbones`,
trained to tell photographs apart and as initialised. Each crop of a test half asks for its nearest
crop of a training half (cosine of centred embeddings): is it of the same photograph? And with that
photograph left out: is it of one that shows the same kind of thing? Kinds were named by what the
photographs show, before anything was measured; photographs without kin only fill the gallery.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.evaluation import embed
from experiments.core.measurement import Measurement
from experiments.measurements.samples import crops_of
from experiments.measurements.subjects import SEEDS, both_ways
from experiments.studies.backbones import BACKBONES
from wavevit.measure.evaluation import in_batches
from wavevit.progress import in_steps

SUBJECTS = ("vit", "haar_vit", "haar_pyramid", "dtcwt_pyramid")
KINDS: dict[str, tuple[str, ...]] = {
    "ground and walls": ("brick", "grass", "gravel"),
    "machines": ("motorcycle", "rocket"),
    "people": ("astronaut", "camera"),
    "print": ("page", "text"),
    "sky": ("hubble", "moon"),
    "under a microscope": ("cell", "immunohistochemistry"),
}


def kind_of_classes(classes: Sequence[str]) -> Tensor:
    """The number of each class's kind; -1 for one without kin."""
    numbers = {name: i for i, names in enumerate(KINDS.values()) for name in names}
    return torch.tensor([numbers.get(name, -1) for name in classes])


def nearest(queries: Tensor, gallery: Tensor, allowed: Tensor) -> Tensor:
    """Index (N,) of the nearest allowed entry by the cosine of embeddings (·, D) around the
    gallery's mean; `allowed` is (N, M)."""
    mean = gallery.mean(dim=0)
    own, others = (F.normalize((x - mean).double(), dim=1) for x in (queries, gallery))
    return (own @ others.T).masked_fill(~allowed, -torch.inf).argmax(dim=1)


def shares(
    queries: Tensor, asked: Tensor, gallery: Tensor, held: Tensor, kinds: Tensor
) -> dict[str, float]:
    """Percent of queries whose nearest is of the same photograph, and, of those with kin, whose
    nearest of another photograph is kin; `asked` and `held` are the photographs' numbers."""
    same = asked[:, None] == held
    first = held[nearest(queries, gallery, torch.ones_like(same))]
    kin = kinds[asked] >= 0
    other = held[nearest(queries[kin], gallery, ~same[kin])]
    return {
        "photograph": 100 * float((first == asked).double().mean()),
        "kind": 100 * float((kinds[other] == kinds[asked[kin]]).double().mean()),
    }


def chance(asked: Tensor, held: Tensor, kinds: Tensor) -> dict[str, float]:
    """The same of answers that are drawn."""
    same = (asked[:, None] == held).double()
    kin = kinds[asked] >= 0
    related = (kinds[asked[kin], None] == kinds[held]).double() - same[kin]
    return {
        "photograph": 100 * float(same.mean()),
        "kind": 100 * float((related.sum(dim=1) / (1 - same[kin]).sum(dim=1)).mean()),
    }


def measure(runs: Path, crops: int = 20) -> dict[str, Any]:
    """By model and seed, percent: nearest crop of the photograph, and of its kin."""
    scenes, asked = crops_of("test", crops, 45_000)
    _, held = crops_of("train", crops, 46_000)
    kinds = kind_of_classes(scenes.classes)
    found: dict[str, dict[str, list[float]]] = {}
    makers = both_ways(runs, BACKBONES, SUBJECTS)
    for name in in_steps(makers):
        own: dict[str, list[float]] = {"photograph": [], "kind": []}
        for seed in SEEDS:
            features = partial(embed, makers[name](seed))
            sides = [in_batches(features, batch.images, 128) for batch in (asked, held)]
            of = shares(sides[0], asked.labels, sides[1], held.labels, kinds)
            for key, values in own.items():
                values.append(of[key])
        found[name] = own
    return {
        "photographs": list(scenes.classes),
        "kinds": {name: list(names) for name, names in KINDS.items()},
        "seeds": list(SEEDS),
        "crops": {"asking": len(asked.labels), "gallery": len(held.labels)},
        "chance": chance(asked.labels, held.labels, kinds),
        "models": found,
    }


MEASUREMENT = Measurement(
    name="retrieval",
    question="Do features group crops by photograph, and by kind, without training on text?",
    measure=measure,
)
