"""Are a few phases of the grid enough? (claim C21)

An average over all 64 offsets of a grid of 8-pixel patches makes a trained ViT more robust to crops
(`phase_average`), at 64 calls of the model. Here the same weights are measured with K structured
phases (`wavevit.alignment.phase_lattice`), K = 1, 2, 4, 16, 64, without training: the plain ViT of
`patch_vs_wavelet` (learned positions, so no law holds), and the plain ViT of `dense`, whose logits
move back pixel by pixel before they are averaged. Beside them: four shifts by whole patches, which
leave the grid where it is (the control: what averaging as such gives), a blur before the patches,
and dual-tree tokens, which are one call each. ``calls`` is the cost in calls of the model,
``macs`` in multiply-accumulates.

Measured by photograph (mean over crops and seeds): top-1; R, the change of the embedding under a
crop shift by one pixel, mean of four directions, in units of the mean distance between embeddings
of different crops; S-Cons; and the share of crops that are right for all 81 shifts within 8 pixels,
every second pixel. By composite of two photographs: pixels that are right, and pixels that keep
their class under a crop shift by one pixel, mean of four directions.

Command: ``python -m experiments run few_phases && python -m experiments report``. It takes trained
runs of `crop_shift`, `patch_vs_wavelet` or `dense` in the same folder if code and machine are the
same, and trains the rest. Time: 52 minutes of one core of an AMD EPYC, training included. Record:
``experiments/records/few_phases/measurement.json``. Set before the first run: K, the lattices, the
control, seeds, crops and the rule of C21. Nothing is chosen on data; the peak learning rate is the
one that `patch_vs_wavelet` chose for the plain ViT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.config import RunConfig, changed
from experiments.core.crop_shifts import DIRECTIONS
from experiments.core.evaluation import embed
from experiments.core.measurement import Measurement
from experiments.core.segmentation.measures import Logits
from experiments.measurements.samples import CROP, MARGIN, by_photograph, mean_over, photographs
from experiments.measurements.subjects import SEEDS
from experiments.measurements.trained_here import side_by_side, task_of, trained_here
from experiments.studies.dense import DENSE
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.alignment import align
from wavevit.data import Scenes, composites
from wavevit.measure import cost, shifted
from wavevit.measure.evaluation import in_batches
from wavevit.measure.shifting import center_crop
from wavevit.models import Backbone
from wavevit.tasks import Segmentation

PHASES = (1, 2, 4, 16, 64)
PATCH = 8
_SIZE = (CROP, CROP)
_REACH, _STEP = 8, 2  # of the worst case: 81 shifts
_PAIRS = 8  # of crops, for S-Cons
_VIEWS = 128  # in one call: a small batch stays in the caches of a CPU


@dataclass(frozen=True)
class Subject:
    """A trained model and what is added to it.

    Attributes:
        variant: whose weights, of `configs`.
        options: of `wavevit.align`; none for the model as it is.
        calls: of the model for one image.
    """

    variant: str
    options: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 1


def phases_of(count: int) -> str:
    """Name of a subject."""
    return "1 phase" if count == 1 else f"{count} phases"


CONTROL = "4 shifts by whole patches"
SUBJECTS = {
    **{
        phases_of(count): Subject(
            "vit", {"method": "group_average", "period": PATCH, "phases": count}, count
        )
        for count in PHASES
    },
    CONTROL: Subject("vit", {"method": "group_average", "period": 2 * PATCH, "phases": 4}, 4),
    "blur": Subject("vit", {"method": "blur"}),
    "dtcwt": Subject("dtcwt"),
}


def configs() -> dict[str, RunConfig]:
    """What is trained: classifiers, and segmenters under "dense …"."""
    vit, dense = PATCH_VS_WAVELET.configs()["vit"], DENSE.configs()["vit"]
    tokens = {"model.tokenizer": "dtcwt"}
    return {
        "vit": vit,
        "dtcwt": changed(vit, tokens),
        "dense vit": dense,
        "dense dtcwt": changed(dense, tokens),
    }


def _aligned(model: nn.Module, subject: Subject) -> nn.Module:
    return align(model, **subject.options) if subject.options else model


class _Pooled(nn.Module):
    """Pooled features before the head: what the head makes of their average is the average."""

    def __init__(self, model: Backbone) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to (B, D)."""
        return embed(self.model, x)


def same_class(logits: nn.Module, windows: Tensor, batch: int) -> Tensor:
    """Share of pairs of crops at random offsets that get the same class, (B,): S-Cons.

    Offsets are those of `wavevit.measure.shift_consistency`, which has no value for each image.
    """
    generator = torch.Generator().manual_seed(0)
    spread = CROP // 7
    answers = []
    for _ in range(2 * _PAIRS):
        drawn = torch.randint(
            -(spread // 2), spread - spread // 2 + 1, (len(windows), 2), generator=generator
        )
        crops = [
            shifted(window[None], (dy, dx), "crop", _SIZE)
            for window, (dy, dx) in zip(windows, drawn.tolist(), strict=True)
        ]
        answers.append(in_batches(logits, torch.cat(crops), batch).argmax(dim=1))
    return (torch.stack(answers[::2]) == torch.stack(answers[1::2])).double().mean(dim=0)


def right_for_all(logits: nn.Module, windows: Tensor, labels: Tensor, batch: int) -> Tensor:
    """Whether crops of windows are right for all 81 shifts, (B,); wrong ones are not tried on."""
    alive = torch.arange(len(windows))
    steps = range(-_REACH, _REACH + 1, _STEP)
    for shift in [(0, 0), *((dy, dx) for dy in steps for dx in steps)]:
        crops = shifted(windows[alive], shift, "crop", _SIZE)
        answers = in_batches(logits, crops, batch).argmax(dim=1)
        alive = alive[answers == labels[alive]]
        if not len(alive):
            break
    return torch.isin(torch.arange(len(windows)), alive)


def classified(
    model: Backbone, subject: Subject, windows: Tensor, labels: Tensor
) -> dict[str, list[float]]:
    """Figures of a classifier, photograph by photograph."""
    batch = max(_VIEWS // subject.calls, 1)
    features = _aligned(_Pooled(model), subject)
    logits = nn.Sequential(features, model.head)
    still = in_batches(features, center_crop(windows, _SIZE), batch)
    right = model.head(still).argmax(dim=1) == labels
    distances = torch.pdist(still.double()).mean()
    moved = torch.stack(
        [
            (in_batches(features, shifted(windows, d, "crop", _SIZE), batch) - still).norm(dim=1)
            for d in DIRECTIONS
        ]
    ).mean(dim=0)
    agreed = same_class(logits, windows, batch)
    worst = right_for_all(logits, windows, labels, batch)
    return {
        "top1": by_photograph(100 * right.double(), labels),
        "sensitivity": by_photograph(moved.double() / distances, labels),
        "consistency": by_photograph(100 * agreed, labels),
        "worst": by_photograph(100 * worst.double(), labels),
    }


def kept_pixels(logits: nn.Module, windows: Tensor, batch: int) -> Tensor:
    """Share of pixels that keep their class under a crop shift by one pixel, (B,)."""
    answers = in_batches(logits, center_crop(windows, _SIZE), batch).argmax(dim=1)
    kept = []
    for down, right in DIRECTIONS:
        moved = in_batches(logits, shifted(windows, (down, right), "crop", _SIZE), batch).argmax(1)
        back = torch.roll(moved, (-down, -right), (-2, -1))
        same = (back == answers)[..., 1:-1, 1:-1]  # of the pixels that are in all crops
        kept.append(same.flatten(1).double().mean(dim=1))
    return torch.stack(kept).mean(dim=0)


def segmented(
    task: Segmentation, subject: Subject, windows: Tensor, labels: Tensor
) -> dict[str, list[float]]:
    """Figures of a segmenter, composite by composite."""
    batch = max(_VIEWS // (2 * subject.calls), 1)
    logits = _aligned(Logits(task), subject)
    answers = in_batches(logits, center_crop(windows, _SIZE), batch).argmax(dim=1)
    inside = labels[..., MARGIN : MARGIN + CROP, MARGIN : MARGIN + CROP]
    return {
        "pixels": (100 * (answers == inside).flatten(1).double().mean(dim=1)).tolist(),
        "kept": (100 * kept_pixels(logits, windows, batch)).tolist(),
    }


@dataclass(frozen=True)
class _Part:
    """One subject with one seed, and how many crops of each photograph it is measured on."""

    name: str
    dense: bool
    weights: Path
    crops: int

    def label(self) -> str:
        """Subject, output and seed, for people."""
        output = "segmentation" if self.dense else "classification"
        return f"{self.name}, {output}, {self.weights.name}"


@torch.no_grad()
def _measured(part: _Part) -> dict[str, Any]:
    subject, task = SUBJECTS[part.name], task_of(part.weights)
    if part.dense:
        assert isinstance(task, Segmentation)
        scenes = Scenes("test", CROP, MARGIN)
        count = part.crops * len(scenes.classes) // 2
        batch = composites(scenes, count, torch.Generator().manual_seed(30_000))
        found: dict[str, Any] = segmented(task, subject, batch.images, batch.labels)
        model: nn.Module = Logits(task)
    else:
        _, crops = photographs(part.crops)
        found = classified(task.backbone, subject, crops.images, crops.labels)
        model = task.backbone
    image = torch.zeros(1, 1, *_SIZE)
    return {**found, "macs": subject.calls * cost(model, image).macs}


def measure(runs: Path, crops: int = 4) -> dict[str, Any]:
    """Figures of every subject: lists by photograph, or by composite for the dense output."""
    folders = trained_here(runs, "few_phases", configs(), SEEDS)
    costly_first = sorted(SUBJECTS, key=lambda name: -SUBJECTS[name].calls)
    places = [(n, dense, seed) for n in costly_first for dense in (False, True) for seed in SEEDS]
    parts = [
        _Part(n, dense, folders[f"{'dense ' * dense}{SUBJECTS[n].variant}", seed], crops)
        for n, dense, seed in places
    ]
    measured = side_by_side(
        _measured, parts, _Part.label, work=lambda part: SUBJECTS[part.name].calls
    )
    found = dict(zip(places, measured, strict=True))

    def gathered(dense: bool) -> dict[str, dict[str, Any]]:
        subjects = {}
        for name, subject in SUBJECTS.items():
            seeds = [found[name, dense, seed] for seed in SEEDS]
            lists = {k: mean_over([s[k] for s in seeds]) for k in seeds[0] if k != "macs"}
            subjects[name] = {"calls": subject.calls, "macs": seeds[0]["macs"], **lists}
        return subjects

    return {
        "photographs": list(Scenes("test", CROP, MARGIN).classes),
        "crops": crops * len(Scenes("test", CROP, MARGIN).classes),
        "seeds": list(SEEDS),
        "classification": gathered(False),
        "segmentation": gathered(True),
    }


MEASUREMENT = Measurement(
    name="few_phases",
    question="Are a few phases of the grid enough?",
    measure=measure,
)
