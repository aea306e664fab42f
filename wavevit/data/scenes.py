"""`scenes`: which photograph is this crop from? A real-image task that needs no download.

Each photograph is one class. Training crops come from its left half and test crops from its
right half, so test crops have no training pixels. Crops are grey and normalised one
by one, so that colour and brightness do not give the class.

To choose between designs, do not use the test half: ``"fit"`` and ``"validation"`` are
the upper and lower part of the training half. Then train the chosen design on the whole half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_choice, check_generator, check_tensor, fail
from wavevit.data.photograph_files import (
    PhotographFolder,
    load_photograph_file,
    scan_photographs,
)
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.files import as_path

__all__ = [
    "CONTRAST_FLOOR",
    "SPLITS",
    "SceneBatch",
    "Scenes",
    "photograph_folder",
    "photograph_scenes",
]

SPLITS = ("train", "test", "fit", "validation")

# Upper share of the training half that `fit` has; a window of 64 pixels fits what is left of the
# lowest photograph (172 rows).
_FIT = (5, 8)

# Contrast that is added before dividing by a crop's own: an almost flat patch of sky stays almost
# flat instead of becoming a picture of the sensor's noise. On the luminance scale of [0, 1].
CONTRAST_FLOOR = 0.02


class SceneBatch(NamedTuple):
    """Crops with their labels and positions.

    Attributes:
        images: (N, 1, S, S) with ``S = crop_size + 2 * margin``.
        labels: (N,) index into `Scenes.classes`.
        corners: (N, 2) row and column, in the photograph, of each image's upper left pixel.
    """

    images: Tensor
    labels: Tensor
    corners: Tensor


@dataclass(frozen=True)
class Scenes:
    """The crops of one split.

    Attributes:
        split: ``"train"`` (left halves) or ``"test"`` (right halves); ``"fit"`` and
            ``"validation"`` divide the left halves into an upper and a lower part.
        crop_size: side of a crop in pixels.
        margin: pixels of the same photograph around each crop on every side, for crop
            shifts; the larger window is inside the split's part too.
        classes: names of photographs, one class each.
        max_short_side: photographs are reduced to at most this shorter side.
        places: windows come from `places` x `places` fixed positions in each part, evenly spaced;
            0 means random positions.
        folder: of the photographs, whose classes are names of files in it then; empty for the
            bundled ones. `photograph_scenes` finds them.

    Raises:
        ValueError: an unknown split or photograph, or windows that do not fit a part.

    Guarantees:
        No pixel of a photograph is in both a train and a test window, or in both a fit and a
        validation window (both are inside train). Equal arguments and seed give equal crops
        (tests/properties/test_scenes_laws.py).
    """

    split: str
    crop_size: int = 64
    margin: int = 0
    classes: tuple[str, ...] = NAMES
    max_short_side: int = 256
    places: int = 0
    folder: str = ""

    def __post_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        check_at_least("crop_size", self.crop_size, 1)
        check_at_least("margin", self.margin, 0)
        check_at_least("places", self.places, 0)
        check_at_least("max_short_side", self.max_short_side, 1)
        if not isinstance(self.classes, Sequence) or isinstance(self.classes, str):
            fail("classes", "a sequence of photographs", repr(self.classes))
        if not isinstance(self.folder, str):
            fail("folder", "a path, or an empty string for the bundled photographs", self.folder)
        if not self.classes:
            fail("classes", "at least one photograph", "none")
        if len(set(self.classes)) < len(self.classes):
            fail("classes", "photographs that are all different", self.classes)
        for label in range(len(self.classes)):
            top, bottom, left, right = self.region(label)
            if min(bottom - top, right - left) < self.window:
                name, fits = self.classes[label], min(bottom - top, right - left)
                expected = f"windows of at most {fits} pixels for the photograph {name!r}"
                fail("crop_size + 2 * margin", expected, self.window)

    @property
    def window(self) -> int:
        """Side of an image with its margin, in pixels."""
        return self.crop_size + 2 * self.margin

    def photograph(self, label: int) -> Tensor:
        """The whole photograph of a class, (H, W)."""
        check_at_least("label", label, 0)
        if label >= len(self.classes):
            fail("label", f"a class from 0 to {len(self.classes) - 1}", label)
        name = self.classes[label]
        if self.folder:
            return load_photograph_file(Path(self.folder) / name, self.max_short_side)
        return load_photograph(name, self.max_short_side)

    def region(self, label: int) -> tuple[int, int, int, int]:
        """This split's part of a photograph: rows [top, bottom), columns [left, right)."""
        height, width = self.photograph(label).shape
        border = height * _FIT[0] // _FIT[1]
        match self.split:
            case "test":
                return 0, height, width // 2, width
            case "fit":
                return 0, border, 0, width // 2
            case "validation":
                return border, height, 0, width // 2
        return 0, height, 0, width // 2

    def sample(self, count: int, generator: torch.Generator) -> SceneBatch:
        """Random crops, normalised: classes in equal shares, positions uniform.

        Args:
            count: number of crops; if the number of classes does not divide it, some random
                classes get one crop more.
            generator: random generator; the crops depend on its state only.
        """
        batch = self.draw(count, generator)
        return batch._replace(images=self.normalized(batch.images))

    def draw(self, count: int, generator: torch.Generator) -> SceneBatch:
        """Random crops as in `sample` without normalisation: luminance in [0, 1].

        Args:
            count: as in `sample`.
            generator: as in `sample`.
        """
        check_at_least("count", count, 1)
        check_generator("generator", generator)
        rounds = -(-count // len(self.classes))
        orders = [torch.randperm(len(self.classes), generator=generator) for _ in range(rounds)]
        labels = torch.cat(orders)[:count]
        return self.cut(labels, generator)

    def cut(self, labels: Tensor, generator: torch.Generator) -> SceneBatch:
        """Crops of given photographs at random positions, without normalisation.

        Args:
            labels: (N,) index into `classes`.
            generator: as in `sample`.
        """
        check_tensor("labels", labels, "(N,)", 1)
        check_generator("generator", generator)
        places = torch.rand(len(labels), 2, generator=generator)
        if self.places:
            places = ((places * self.places).floor() + 0.5) / self.places
        images, corners = [], []
        for label, place in zip(labels.tolist(), places.tolist(), strict=True):
            top, bottom, left, right = self.region(label)
            row = top + int(place[0] * (bottom - top - self.window + 1))
            column = left + int(place[1] * (right - left - self.window + 1))
            photograph = self.photograph(label)
            images.append(photograph[row : row + self.window, column : column + self.window])
            corners.append((row, column))
        return SceneBatch(torch.stack(images)[:, None], labels, torch.tensor(corners))

    def normalized(self, windows: Tensor) -> Tensor:
        """Normalises windows to mean 0 and contrast about 1, measured on the crop in the middle.

        The whole window has one offset and one gain, so two crops of it differ by their position
        only.
        """
        side = slice(self.margin, self.margin + self.crop_size)
        crop = windows[..., side, side]
        mean = crop.mean(dim=(-2, -1), keepdim=True)
        contrast = crop.std(dim=(-2, -1), keepdim=True, correction=0)
        return (windows - mean) / (contrast + CONTRAST_FLOOR)

    def center(self, windows: Tensor) -> Tensor:
        """The crops in the middle of windows (N, C, S, S)."""
        side = slice(self.margin, self.margin + self.crop_size)
        return windows[..., side, side]


def photograph_scenes(
    split: str,
    crop_size: int = 64,
    margin: int = 0,
    photographs: str | Path | None = None,
    duplicates: str = "report",
    least_side: int = 0,
    digest: str = "",
    **options: Any,
) -> Scenes:
    """`Scenes` of the bundled photographs, or of those in a folder.

    Args:
        split: see `Scenes`.
        crop_size: side of a crop in pixels.
        margin: pixels around each crop.
        photographs: folder of photographs; None for the bundled ones.
        duplicates: what to do with near-duplicates: ``"report"``, ``"drop"`` or ``"refuse"``; see
            `wavevit.data.photograph_files.scan_photographs`.
        least_side: photographs with a shorter side below it, in pixels, are left out.
        digest: of the folder before: an error if its files are others now.
        **options: of `Scenes`.

    Raises:
        ValueError: as `Scenes` and `scan_photographs`; options of a folder without one.
    """
    found = photograph_folder(photographs, duplicates, least_side, digest)
    if found is None:
        return Scenes(split, crop_size, margin, **options)
    return Scenes(split, crop_size, margin, found.names, folder=found.folder, **options)


def photograph_folder(
    photographs: str | Path | None = None,
    duplicates: str = "report",
    least_side: int = 0,
    digest: str = "",
) -> PhotographFolder | None:
    """The folder of photographs that these options of `photograph_scenes` name; None for none.

    Raises:
        ValueError: as `scan_photographs`; options of a folder without one.
    """
    if photographs is not None:
        if not as_path("photographs", photographs).is_dir():
            fail("photographs", "a folder of photographs", repr(str(photographs)))
        return scan_photographs(photographs, duplicates, least_side, digest)
    given = {"duplicates": duplicates != "report", "least_side": least_side, "digest": digest}
    for name, value in given.items():
        if value:
            fail(name, "a folder of photographs beside it", "none")
    return None
