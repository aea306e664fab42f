"""The pictures that the measurement `graft` shows to a pretrained model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.measurements.graft.subjects import Subject
from wavevit.checks import fail
from wavevit.data import LabelledPictures, create_source, find_pictures, read_picture

_FEWEST = 8
_LABELS = "labels.csv"  # of ELPV; other folders have a folder for each class


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
