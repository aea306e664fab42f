"""Grafts of a pretrained model, distilled without labels on any folder of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from experiments.core.folder import slug
from experiments.core.kept_figures import kept_figures
from experiments.core.records import environment
from experiments.measurements.graft.labels import (
    NEIGHBOURS,
    head_figures,
    labelled_figures,
    recall,
)
from experiments.measurements.graft.methods import METHODS, Method, Pooled, student, views_of
from experiments.measurements.graft.pictures import (
    Labelled,
    read_labelled,
    read_photographs,
    windows,
)
from experiments.measurements.graft.run import SHIFTS, continuity, cosines, distilled, ideal
from experiments.measurements.graft.subjects import Subject
from wavevit.grafting.windows import middle
from wavevit.measure import latency_ratios, shift_sensitivity, shifted
from wavevit.measure.evaluation import Model, in_batches
from wavevit.progress import Progress

_STILL = 1.0  # weight of the change of the features under a shift by one pixel
_MEASURED_SHARE = 4  # one photograph in so many is measured and not trained on
_PLACES = (0.25, 0.75)  # of the measured windows on the diagonal of a photograph
_BATCH, _BATCHES, _AVERAGED, _JUDGED, _ROUNDS = 8, 48, 4, 32, 15
_MEASURED_BATCH = 32
_FITTED, _ASKED = 512, 320  # labelled pictures, at most
_STEEP = 4  # crops whose condition number and jumps are measured, one of each photograph


class _Shown(NamedTuple):
    """What the changed models are shown.

    Attributes:
        measured: (M·P, C, W, W) windows of photographs that no distillation saw.
        targets: the original's features of their crops, averaged over shifts.
        corners: (M, C, S, S) crops that ask for their photograph.
        wanted: (M,) its place in the gallery.
        gallery: (N, C, S, S) a crop of each photograph, from the opposite corner.
        labelled: pictures with classes, or None.
    """

    measured: Tensor
    targets: Tensor
    corners: Tensor
    wanted: Tensor
    gallery: Tensor
    labelled: Labelled | None


def _settings(shown: _Shown) -> dict[str, Any]:
    """What the figures follow from, beside the model."""
    labelled = shown.labelled
    return {
        "shifts": list(SHIFTS),
        "windows": len(shown.measured),
        "gallery": len(shown.gallery),
        "steep": _STEEP,
        "labelled": None
        if labelled is None
        else [labelled.name, labelled.digest, len(labelled.known), len(labelled.wanted)],
    }


def change_by_photograph(embed: Model, measured: Tensor, size: int, each: int) -> list[float]:
    """R(1 px crop) of each photograph: the mean over photographs is R of all windows.

    Args:
        embed: crops to features (B, D).
        measured: windows, `each` of them of a photograph.
        size: side of the crops in pixels.
        each: windows of a photograph.
    """
    base = in_batches(embed, middle(measured, size), _MEASURED_BATCH).double()
    change = torch.zeros(len(base), dtype=torch.float64)
    for direction in ((1.0, 0.0), (0.0, 1.0)):
        moved = shifted(measured, direction, "crop", (size, size))
        change += (in_batches(embed, moved, _MEASURED_BATCH).double() - base).norm(dim=1) / 2
    found: list[float] = (
        (change / torch.pdist(base).mean()).unflatten(0, (-1, each)).mean(1).tolist()
    )
    return found


def _figures(method: Method, model: nn.Module, one: Subject, shown: _Shown) -> dict[str, Any]:
    embed = views_of(method, model, one.patch)[1]
    measured, size = shown.measured, one.size
    moved = shift_sensitivity(
        embed, measured, SHIFTS, kind="crop", crop_size=size, batch_size=_MEASURED_BATCH
    )
    crops = middle(measured, size)
    each = len(_PLACES)
    found: dict[str, Any] = {
        "sensitivity": list(moved.values),
        "by_photograph": change_by_photograph(embed, measured, size, each),
        **cosines(in_batches(embed, crops, _MEASURED_BATCH), shown.targets),
        "recall": recall(embed, shown.corners, shown.wanted, shown.gallery, _MEASURED_BATCH),
    }
    if shown.labelled is not None:
        found |= labelled_figures(embed, shown.labelled, size, _MEASURED_BATCH)
    if one.classified is not None:
        found |= head_figures(embed, one.classified, measured, size, _MEASURED_BATCH)
    if method.phases == 1:
        found |= continuity(method, model, crops[::each][:_STEEP], one.patch)
    return found


def _measured(
    name: str, seed: int, one: Subject, shown: _Shown, folder: Path, training: dict[str, Any] | None
) -> dict[str, Any]:
    """The figures of a method, from its folder where they are already there."""
    method = METHODS[name]
    model = student(method, one.model)
    settings = _settings(shown) | {
        "classified": None if one.classified is None else len(one.classified.labels),
        "distillation": training and training["settings"],
    }
    figures: dict[str, Any] = {}
    if training is not None:
        figures = distilled(method, model, one.model, folder, progress=True, seed=seed, **training)
    return figures | kept_figures(
        folder / "measured.json", settings, lambda: _figures(method, model, one, shown)
    )


def measure_label_free(
    one: Subject,
    folder: Path,
    runs: Path,
    methods: Sequence[str],
    minutes: float,
    rate: float,
    seeds: Sequence[int],
    labelled: Path | None = None,
) -> tuple[str, dict[str, Any]]:
    """All methods on one pretrained model.

    A distillation and its figures are kept in the folder of runs: the same command again reads
    what is there.

    Args:
        one: the model.
        folder: of photographs.
        runs: folder of the runs.
        methods: names of the subject's methods; the original is among them.
        minutes: of the first distillation. All others take as many steps, so that a busy machine
            gives none of them more than another.
        rate: peak learning rate of the model's own parameters.
        seeds: of the distillations.
        labelled: folder of pictures with classes, see `read_labelled`.

    Returns:
        The record's name and the record.
    """
    classed = None if labelled is None else read_labelled(labelled, one, _FITTED, _ASKED)
    photographs = read_photographs(folder, one)
    order = torch.randperm(len(photographs), generator=torch.Generator().manual_seed(0)).tolist()
    count = len(photographs) // _MEASURED_SHARE
    kept = [photographs[i] for i in order[:count]]
    trained = [photographs[i] for i in order[count:]]
    measured = windows(kept, one.window, _PLACES)
    shown = _Shown(
        measured,
        ideal(one.model, measured, one.size, one.patch, _BATCH, progress=True),
        windows(kept, one.size, (0.0,)),
        torch.arange(count),
        windows([*kept, *trained], one.size, (1.0,)),
        classed,
    )
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    budget: dict[str, Any] = {"minutes": minutes}
    todo = [
        (name, seed) for name in methods for seed in (seeds if METHODS[name].train else seeds[:1])
    ]
    with Progress([1.0] * len(todo), bar=False) as progress:
        for name, seed in todo:
            progress.begin(f"{name}, seed {seed}")
            method = METHODS[name]
            training = {
                "settings": {**budget, "rate": rate, "photographs": len(trained)},
                "photographs": trained,
                "rate": rate,
                "crop_size": one.size,
                **budget,
                "batch_size": _BATCH,
                "batches": _BATCHES,
                "shifts": _AVERAGED,
                "still": _STILL,
                "patience": None,
                "judged": _JUDGED,
                "span": one.patch,
            }
            path = runs / "graft" / slug(one.name) / slug(name) / f"seed{seed}"
            figures = _measured(name, seed, one, shown, path, training if method.train else None)
            found[name].append(figures)
            if method.train and "minutes" in budget:
                budget = {"steps": figures["steps"]}
            print(f"{name}, seed {seed}: R(1 px) {figures['sensitivity'][0]:.3f}", flush=True)
            progress.end()
    views = {
        name: views_of(METHODS[name], Pooled(student(METHODS[name], one.model)), one.patch)[0]
        for name in methods
    }
    crops = middle(measured[:_BATCH], one.size)
    ratios = latency_ratios(views, crops, "original", rounds=_ROUNDS, progress=True)
    record = {
        "environment": environment(torch.device("cpu"), torch.get_num_threads(), ("timm",)),
        "model": one.name,
        "photographs": {
            "trained_on": len(trained),
            "measured": count,
            "gallery": len(shown.gallery),
        },
        "labelled": None
        if classed is None
        else {
            "name": classed.name,
            "fitted": len(classed.known),
            "asked": len(classed.wanted),
            "classes": classed.classes,
            "majority": 100 * int(classed.wanted.bincount().max()) / len(classed.wanted),
            "neighbours": NEIGHBOURS,
        },
        "classified": None if one.classified is None else len(one.classified.labels),
        "seeds": list(seeds),
        "minutes": minutes,
        "rate": rate,
        "shifts": list(SHIFTS),
        "methods": {name: {"time": ratios[name], "runs": found[name]} for name in methods},
    }
    return slug(one.name), record
