"""`folder`: pictures in one folder for each class, as torchvision's ``ImageFolder`` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from wavevit.checks import fail
from wavevit.data.fingerprint import check_digest, files_digest
from wavevit.data.labelled import LabelledPictures
from wavevit.data.picture_files import find_pictures, read_picture
from wavevit.data.sources import register_source
from wavevit.data.splits import part_of, take_share
from wavevit.files import as_path

__all__ = ["FolderPictures"]

# Folders of a split, by the name of the split that they are for.
_SPLIT_FOLDERS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}


@register_source("folder")
class FolderPictures(LabelledPictures):
    """Pictures in folders: ``root/CLASS/…``, or ``root/{train,val,test}/CLASS/…``.

    * One root: a fifth of each class is in ``"test"``; of the others a quarter is in
      ``"validation"`` and the rest in ``"fit"``. A hash of the file's name and the seed decides.
    * Folders ``train`` and one of ``val`` and ``test``: that one is ``"test"``, and ``train`` is
      divided into ``"fit"`` and ``"validation"``.
    * All three: ``"validation"`` is ``val``, and ``"fit"`` is all of ``train``.

    Args:
        split, crop_size, margin: see `Source`.
        path: the root.
        seed: of the division into splits.
        share: of the pictures of each class that are trained on, above 0 and at most 1.
        digest: what `fingerprint` was before: the source is refused if the files changed.
        **options: see `LabelledPictures`.

    Raises:
        ValueError: no such folder, no classes, classes without pictures or that are not trained
            on, another digest; or as `LabelledPictures`.

    Guarantees:
        Splits share no file (tests/unit/test_data_folder.py).
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        path: str | Path | None = None,
        seed: int = 0,
        share: float = 1.0,
        digest: str = "",
        **options: Any,
    ) -> None:
        if path is None or not as_path("path", path).is_dir():
            got = "none" if path is None else repr(str(path))
            fail("path", "a folder with a folder of pictures for each class", got)
        self.root = Path(path)
        parts = {
            name: folder
            for name, names in _SPLIT_FOLDERS.items()
            for folder in (self.root / known for known in names)
            if folder.is_dir()
        }
        if "train" in parts and len(parts) > 1:
            test = parts.get("test", parts.get("validation"))
            whole = {"train": parts["train"], "fit": parts["train"], "test": test}
            divided = len(parts) == 2
            whole["validation"] = parts["train"] if divided else parts["validation"]
            folder = whole.get(split) or self.root
            classes = _classes(parts["train"])
        else:
            folder, classes, divided, test = self.root, _classes(self.root), True, None
        names, labels = _pictures(self.root, folder, classes)
        if divided and not (test is not None and split == "test"):
            chosen = part_of(split, names, labels, seed, tested=test is not None)
            names, labels = [names[i] for i in chosen], [labels[i] for i in chosen]
        if split in ("train", "fit"):
            chosen = take_share(names, labels, share, seed)
            names, labels = [names[i] for i in chosen], [labels[i] for i in chosen]
        self.names = names
        super().__init__(split, crop_size, margin, classes, labels, **options)
        if digest:
            check_digest(digest, self.fingerprint(), self.root)

    def fingerprint(self) -> str:
        return files_digest(self.root, find_pictures(self.root))

    def read(self, index: int) -> Tensor:
        return read_picture(self.root / self.names[index]).pixels

    def name(self, index: int) -> str:
        return self.names[index]


def _classes(root: Path) -> list[str]:
    found = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if not found:
        fail("path", "a folder for each class", f"none in {root}")
    return found


def _pictures(root: Path, folder: Path, classes: list[str]) -> tuple[list[str], list[int]]:
    """Paths below the root and labels of the pictures in a folder with a folder for each class."""
    unknown = sorted(set(_classes(folder)) - set(classes))
    if unknown:
        fail("path", f"the classes of the training folder in {folder}", f"also {unknown[:5]}")
    names, labels = [], []
    for label, name in enumerate(classes):
        own = find_pictures(folder / name) if (folder / name).is_dir() else []
        if not own:
            fail("path", f"pictures of the class {name!r}", f"none in {folder / name}")
        names += [picture.relative_to(root).as_posix() for picture in own]
        labels += [label] * len(own)
    return names, labels
