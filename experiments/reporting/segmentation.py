"""The picture of a segmentation study: composites, and where each model is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from experiments.core.config import DataConfig
from experiments.core.levels import decode_levels, encode_levels
from experiments.core.segmentation.composites import held_out_composites
from experiments.core.segmentation.measures import answers_of
from experiments.core.style import bare
from wavevit.tasks import Segmentation

ABOUT_COMPOSITES = (
    "Held-out composites, the same for all models (first seed). Blue and yellow: right pixels of "
    "the first and of the second photograph. Red: pixels with the class of the other photograph. "
    "Black: pixels with the class of a photograph that is not in the picture."
)
ABOUT_MOVED = (
    "Held-out composites in pairs: a crop, and the crop that starts one pixel further right (first "
    "seed). Colours as above; white: pixels that are in both crops and change their class."
)
_COLUMNS = 6
_PAIRS = 3
# Right for the first and the second photograph; the other one's class; a third class; behind a
# shift, another class than before.
_COLOURS = np.array([to_rgb(c) for c in ("#4c78a8", "#eeca3b", "#d62728", "#111", "#fff")])


def _composites(data: DataConfig, moved: bool = False) -> tuple[Tensor, Tensor]:
    """Images and labels of the picture; of crops one pixel further right if `moved`."""
    scenes, batch = held_out_composites(data, torch.device("cpu"))
    images, labels = (
        (windows.roll(-1, -1) if moved else windows)[:_COLUMNS]
        for windows in (batch.images, batch.labels)
    )
    return scenes.center(images), scenes.center(labels)


def _outcomes(answers: Tensor, labels: Tensor) -> np.ndarray:
    """Which of the colours each pixel has, (N, S, S) uint8."""
    found = []
    for answer, label in zip(answers, labels, strict=True):
        both = label.unique()
        wrong = torch.where(torch.isin(answer, both), 2, 3)
        found.append(torch.where(answer == label, (label != both[0]).long(), wrong))
    return torch.stack(found).byte().numpy()


def record_answers(models: Mapping[str, Segmentation], data: DataConfig) -> dict[str, Any]:
    """Where each model is right on the first composites: plain data, levels 0 to 4 as in the
    legend of the picture; under ``"moved"`` the same of crops one pixel further right."""
    images, labels = _composites(data)
    answers = {name: answers_of(model, images) for name, model in models.items()}
    found = {
        "composites": {name: encode_levels(_outcomes(own, labels)) for name, own in answers.items()}
    }
    if data.margin:
        images, labels = (part[:_PAIRS] for part in _composites(data, moved=True))
        found["moved"] = {}
        for name, model in models.items():
            own = answers_of(model, images)
            outcomes = _outcomes(own, labels)
            changed = own[..., :-1] != answers[name][:_PAIRS, :, 1:]
            outcomes[..., :-1][changed.numpy()] = 4
            found["moved"][name] = encode_levels(outcomes)
    return found


def segmentation_picture(record: Mapping[str, Any], data: DataConfig) -> Figure:
    """Composites on top, the truth below, then a row of answers per model."""
    images, labels = _composites(data)
    outcomes = {"truth": _outcomes(labels, labels)}
    outcomes |= {name: decode_levels(own) for name, own in record["composites"].items()}
    rows = [("composite", [image[0].numpy() for image in images])]
    rows += [(name, list(_COLOURS[found])) for name, found in outcomes.items()]
    return _pictures(rows)


def moved_picture(record: Mapping[str, Any], data: DataConfig) -> Figure:
    """Pairs of a composite and the moved one; the truth below, then a row of answers per model."""
    both = [_composites(data), _composites(data, moved=True)]
    images = [images[:_PAIRS, 0].numpy() for images, _ in both]
    truth = [_outcomes(labels, labels)[:_PAIRS] for _, labels in both]
    rows = [("composite", _paired(*images)), ("truth", _paired(*(_COLOURS[t] for t in truth)))]
    for name, moved in record["moved"].items():
        still = decode_levels(record["composites"][name])[:_PAIRS]
        rows.append((name, _paired(_COLOURS[still], _COLOURS[decode_levels(moved)])))
    return _pictures(rows, ["crop", "moved 1 px"] * _PAIRS)


def _paired(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    return [picture for pair in zip(first, second, strict=True) for picture in pair]


def _pictures(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], heads: Sequence[str] = ()
) -> Figure:
    figure, axes = plt.subplots(
        len(rows), _COLUMNS, figsize=(1.5 * _COLUMNS + 1.2, 1.5 * len(rows)), squeeze=False
    )
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, cmap="gray", interpolation="nearest")
        line[0].set_ylabel(name, fontsize=10)
    for axis, head in zip(axes[0], heads, strict=False):
        axis.set_title(head, fontsize=10)
    bare(axes)
    return figure
