"""`elpv`: 2,624 grey photographs of solar cells, 300 x 300 pixels, with and without defects."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from wavevit.checks import check_choice, fail
from wavevit.data.fingerprint import check_digest, files_digest
from wavevit.data.labelled import TRAINED, LabelledPictures
from wavevit.data.picture_files import read_picture
from wavevit.data.scenes import SPLITS
from wavevit.data.sources import register_source
from wavevit.data.splits import take_share
from wavevit.files import as_path

__all__ = ["SolarCells"]

_CLASSES = ("functional", "defective")
_DEFECTIVE = 0.5  # probability of a defect from which on a cell counts as defective
# The cells of a module follow each other. Blocks of cells, and which of five are for what: cells of
# one module are in one split, but for modules on the border of two blocks.
_BLOCKS = 20
_OF_FIVE = {"test": (4,), "validation": (2,), "fit": (0, 1, 3), "train": (0, 1, 2, 3)}


@register_source("elpv")
class SolarCells(LabelledPictures):
    """Electroluminescence photographs of solar cells: is a cell defective?

    Crops with margins are cut from pictures of `short_side` pixels, so that a crop which moves
    shows real pixels. The 2,624 cells in their order are 20 blocks; every fifth is in ``"test"``,
    and another fifth in ``"validation"``. The data are not part of this package: they come with
    the extra ``elpv``, under CC BY-NC-SA 4.0, not for commercial use.

    Args:
        split, crop_size, margin: see `Source`.
        path: folder of ``labels.csv`` and ``images``; by default that of the package
            ``elpv-dataset``.
        share: of the pictures of each class that are trained on, above 0 and at most 1.
        seed: of the share.
        short_side: pictures are resized to this side, antialiased; 0 keeps their 300 pixels. By
            default 3/2 of the crop's side: a crop shows most of a cell, with margins around it.
        digest: what `fingerprint` was before: the source is refused if the files changed.
        **options: see `LabelledPictures`.

    Raises:
        ValueError: no such files, or lines of ``labels.csv`` that are none; or as
            `LabelledPictures`.

    Source:
        Buerhop-Lutz et al. 2018; Deitsch et al. 2019 and 2021.
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        path: str | Path | None = None,
        share: float = 1.0,
        seed: int = 0,
        short_side: int | None = None,
        digest: str = "",
        **options: Any,
    ) -> None:
        self.root = _package() if path is None else as_path("path", path)
        names, probabilities = _read_labels(self.root / "labels.csv")
        rows = _rows(split, len(names))
        labels = [int(probabilities[row] >= _DEFECTIVE) for row in rows]
        self.names = [names[row] for row in rows]
        if split in TRAINED:
            chosen = take_share(self.names, labels, share, seed)
            self.names = [self.names[index] for index in chosen]
            labels = [labels[index] for index in chosen]
        options |= {"short_side": crop_size * 3 // 2 if short_side is None else short_side}
        super().__init__(split, crop_size, margin, _CLASSES, labels, **options)
        if digest:
            check_digest(digest, self.fingerprint(), self.root)

    def fingerprint(self) -> str:
        files = [self.root / "labels.csv", *sorted((self.root / "images").glob("*.png"))]
        return files_digest(self.root, files)

    def read(self, index: int) -> Tensor:
        # Grey: one channel of three equal ones, a third of the memory.
        return read_picture(self.root / self.names[index]).pixels[:1].clone()

    def name(self, index: int) -> str:
        return self.names[index]


def _package() -> Path:
    found = importlib.util.find_spec("elpv_dataset")
    places: Sequence[str] = (found.submodule_search_locations or ()) if found is not None else ()
    for place in places:
        return Path(place) / "data"
    expected = "a folder with labels.csv and images, or the package: pip install 'wavevit[elpv]'"
    fail("path", expected, "neither")


def _read_labels(file: Path) -> tuple[list[str], list[float]]:
    if not file.is_file():
        fail("path", "a folder with labels.csv and images", str(file.parent))
    names, probabilities = [], []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        try:
            name, probability = words[0], float(words[1])
        except (IndexError, ValueError):
            fail("path", "lines with picture, probability, type", f"{line!r} ({file}, {number})")
        names.append(name)
        probabilities.append(probability)
    return names, probabilities


def _rows(split: str, count: int) -> list[int]:
    places = _OF_FIVE[check_choice("split", split, SPLITS)]
    return [row for row in range(count) if row * _BLOCKS // count % 5 in places]
