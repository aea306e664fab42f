"""What did masked modelling teach the encoder? Linear probes against random weights and controls.

Models of study `masked`, trained without labels, and as initialised. Their pooled features of
crops go through ridge regression to the photograph's name: with many crops of each photograph (a
linear probe) and with five (few-shot). Controls without training, on the same crops: the energy of
principal components of patches, and scattering coefficients. Fitted on crops of training halves,
judged on crops of test halves; the penalty is chosen by leave-one-out on the fitted crops.

The upper reference is the plain ViT that learned the photographs' names on the training halves
(`patch_vs_wavelet`'s, trained here where no equal run is found).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.checkpoint import load_weights
from experiments.core.config import RunConfig
from experiments.core.evaluation import embed
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.measurement import Measurement
from experiments.core.statistic import Statistic
from experiments.core.table import Table
from experiments.core.training import make_task
from experiments.measurements.ridge import chosen_ridge
from experiments.measurements.samples import crops_of
from experiments.measurements.subjects import SEEDS
from experiments.measurements.trained_here import trained_here
from experiments.studies.masked import MASKED
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.checks import fail
from wavevit.measure.evaluation import in_batches
from wavevit.progress import in_steps
from wavevit.wavelets import scattering2

SHOTS = 5  # crops of each photograph in a few-shot probe
_DRAWS = 4  # few-shot probes, on crops of their own; the mean counts
_PATCH, _COMPONENTS = 8, 32
Features = Callable[[Tensor], Tensor]


def principal_components(images: Tensor, side: int, count: int) -> Features:
    """Features (N, 2 · count) by principal components of the patches of images (N, C, H, W).

    Each patch is projected on the components; the mean and the mean size over the patches of an
    image are kept.
    """

    def patches_of(x: Tensor) -> Tensor:
        return F.unfold(x.double(), side, stride=side).transpose(1, 2)

    patches = patches_of(images).flatten(0, 1)
    mean = patches.mean(dim=0)
    directions = torch.linalg.eigh((patches - mean).T @ (patches - mean)).eigenvectors
    leading = directions[:, -count:]

    def features(x: Tensor) -> Tensor:
        parts = (patches_of(x) - mean) @ leading
        return torch.cat([parts.mean(dim=1), parts.abs().mean(dim=1)], dim=1)

    return features


def scattering_features(images: Tensor) -> Tensor:
    """Mean over places of the scattering coefficients of three scales."""
    return scattering2(images, scales=3).mean(dim=(2, 3))


def top1(
    fitted: Tensor, labels: Tensor, judged: Tensor, truth: Tensor, shots: int | None = None
) -> float:
    """Percent of crops whose photograph ridge regression names.

    Args:
        fitted, labels: features (N, D) and classes (N,).
        judged, truth: of the crops that are asked.
        shots: crops of each class to fit; None for all. Then the mean over probes on disjoint
            crops.
    """
    classes = F.one_hot(labels).double()
    groups = [torch.arange(len(labels))]
    if shots is not None:
        places = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
        starts = range(0, min(len(own) for own in places) - shots + 1, shots)
        groups = [
            torch.cat([own[start : start + shots] for own in places]) for start in starts[:_DRAWS]
        ]
    right = [
        (chosen_ridge(fitted[group], classes[group], judged).argmax(1) == truth).double().mean()
        for group in groups
    ]
    return 100 * float(torch.stack(right).mean())


def _trained_runs(runs: Path) -> dict[str, dict[int, RunFolder]]:
    """By variant and seed, the runs of study `masked` that are trained."""
    folder = StudyFolder(runs / MASKED.name, MASKED.name)
    found = {
        name: {
            seed: run
            for seed, run in ((seed, folder.run(name, seed)) for seed in SEEDS)
            if run.weights.exists()
        }
        for name in MASKED.configs()
    }
    found = {name: own for name, own in found.items() if own}
    if not found:
        fail("runs", f"a folder with trained runs (made by: {MASKED.command()})", folder.path)
    return found


def _encoder(run: RunFolder, trained: bool) -> Features:
    """Pooled features of a run's encoder, trained or as the run began."""
    task = make_task(run.load_config()).eval()
    if trained:
        load_weights(run.weights, task.network())
    return partial(embed, task.backbone)


def with_labels() -> dict[str, RunConfig]:
    """The plain ViT, trained to name the photographs."""
    return {"vit": PATCH_VS_WAVELET.configs()["vit"]}


def measure(runs: Path, crops: int = 40) -> dict[str, Any]:
    """By encoder and seed, how many features it has, and top-1 in percent of both probes."""
    trained = _trained_runs(runs)
    seeds = sorted({seed for by_seed in trained.values() for seed in by_seed})
    supervised = trained_here(runs, "masked_probe", with_labels(), seeds)
    scenes, known = crops_of("train", crops, 47_000)
    _, asked = crops_of("test", crops // 2, 48_000)
    sides = (known.images, asked.images)

    def probes(features: Features) -> dict[str, float]:
        fitted, judged = (in_batches(features, images, 128) for images in sides)
        four = (fitted, known.labels, judged, asked.labels)
        return {
            "size": fitted.shape[1],
            "linear": top1(*four),
            "few": top1(*four, shots=SHOTS),
        }

    components = principal_components(known.images, _PATCH, _COMPONENTS)
    controls = {"PCA of patches": components, "scattering": scattering_features}
    found: dict[str, dict[str, list[float]]] = {}

    def note(name: str, features: Features) -> None:
        own = found.setdefault(name, {})
        for key, value in probes(features).items():
            own.setdefault(key, []).append(value)

    for name, features in controls.items():
        note(name, features)
    for (variant, _), path in supervised.items():
        note(f"{variant}, labels", _encoder(RunFolder(path), trained=True))
    for variant in in_steps(trained):
        for run in trained[variant].values():
            note(f"{variant}, masked", _encoder(run, trained=True))
            note(f"{variant}, random weights", _encoder(run, trained=False))
    return {
        "classes": len(scenes.classes),
        "shots": SHOTS,
        "crops": {"fitted": len(known.labels), "judged": len(asked.labels)},
        "seeds": {name: list(by_seed) for name, by_seed in trained.items()},
        "models": found,
    }


def probe_table(record: Mapping[str, Any]) -> Table:
    """Top-1 of both probes, mean ± standard deviation over seeds, one row an encoder."""
    shots = f"ridge on {record['shots']} crops a class, %"
    head = ["encoder", "size of its features", "linear probe, %", shots]
    rows = []
    for name, own in record["models"].items():
        probes = (Statistic.of(own[kind]).shown(1) for kind in ("linear", "few"))
        rows.append([name, str(own["size"][0]), *probes])
    return Table(head, [*rows, ["chance", "–", *[f"{100 / record['classes']:.1f}"] * 2]])


MEASUREMENT = Measurement(
    name="masked_probe",
    question="Are features of masked models better than random weights and simple controls?",
    measure=measure,
    table=probe_table,
)
