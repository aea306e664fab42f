"""Photographs from a user's folder: found, checked, reduced, near-duplicates reported."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from wavevit.checks import check_at_least, check_bool, check_choice, fail, require_extra
from wavevit.data.fingerprint import check_digest, files_digest
from wavevit.data.near_duplicates import near_duplicates
from wavevit.data.picture_files import (
    UnreadablePictureError,
    find_pictures,
    luminance,
    read_picture,
)
from wavevit.data.resizing import resized
from wavevit.files import as_path

__all__ = [
    "DUPLICATES",
    "NearDuplicateWarning",
    "PhotographFolder",
    "load_photograph_file",
    "scan_photographs",
]

DUPLICATES = ("report", "drop", "refuse")
# Fingerprints are taken at this size whatever the size that crops are cut from: which photographs
# are left out depends on the folder alone.
_SCANNED = 256


class NearDuplicateWarning(UserWarning):
    """A folder of photographs holds one photograph twice."""


@dataclass(frozen=True)
class PhotographFolder:
    """The photographs of a folder.

    Attributes:
        folder: their folder.
        names: of the files, relative to the folder, sorted.
        duplicates: pairs of names of near-duplicates.
        dropped: names that were left out as near-duplicates.
        small: names that were left out as too small.
        digest: of names and sizes of all pictures in the folder.
    """

    folder: str
    names: tuple[str, ...]
    duplicates: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    small: tuple[str, ...] = ()
    digest: str = ""

    def report(self) -> dict[str, Any]:
        """What the record of a run says about the folder."""
        found: dict[str, Any] = {"photographs": len(self.names), "digest": self.digest}
        lists = (
            ("near_duplicates", [list(pair) for pair in self.duplicates]),
            ("dropped", list(self.dropped)),
            ("too_small", list(self.small)),
        )
        return found | {name: value for name, value in lists if value}


@functools.lru_cache(maxsize=1024)
def load_photograph_file(
    path: str | Path, max_short_side: int = 256, *, color: bool = False
) -> Tensor:
    """Loads a photograph from a file, in grey or in colour, and reduces it.

    Args:
        path: of the file, of any mode and bit depth (`read_picture`).
        max_short_side: larger photographs are reduced to this shorter side, bilinear and
            antialiased; smaller ones do not change.
        color: keep the colours.

    Returns:
        (H, W) float32, luminance in [0, 1]; (3, H, W) with `color`. Cached: do not write into it.

    Raises:
        UnreadablePictureError: (a ``ValueError``) the file cannot be read.
    """
    check_at_least("max_short_side", max_short_side, 1)
    check_bool("color", color)
    pixels = read_picture(path).pixels
    if min(pixels.shape[-2:]) > max_short_side:
        pixels = resized(pixels, max_short_side)
    # A copy: the whole file's pixels are not kept in memory.
    return pixels.clone() if color else luminance(pixels)[0].clone()


def scan_photographs(
    folder: str | Path, duplicates: str = "report", least_side: int = 0, digest: str = ""
) -> PhotographFolder:
    """Finds the photographs in a folder, and reads each once.

    Args:
        folder: searched recursively.
        duplicates: ``"report"`` warns of near-duplicates, whose crops a model would have to tell
            apart; ``"drop"`` keeps the first by name of each group; ``"refuse"`` is an error.
        least_side: photographs with a shorter side below it, in pixels, are left out.
        digest: that of an earlier scan: an error if the files are others now.

    Raises:
        ValueError: no folder, files that cannot be read (by name), near-duplicates where they are
            refused, fewer than two photographs, or another digest.
    """
    root = as_path("folder", folder)
    check_choice("duplicates", duplicates, DUPLICATES)
    check_at_least("least_side", least_side, 0)
    files = find_pictures(root)
    found = files_digest(root, files)
    if digest:
        check_digest(digest, found, root)
    return _scan(str(root), found, duplicates, least_side)


@functools.lru_cache(maxsize=8)
def _scan(folder: str, digest: str, duplicates: str, least_side: int) -> PhotographFolder:
    root = Path(folder)
    names, small, bad, pictures = [], [], [], []
    for file in find_pictures(root):
        name = file.relative_to(root).as_posix()
        try:
            if least_side and _short_side(file) < least_side:
                small.append(name)
                continue
            pictures.append(load_photograph_file(file, _SCANNED))
            names.append(name)
        except UnreadablePictureError as error:
            bad.append(f"{name} ({error.reason})")
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        fail("photographs", f"pictures that can be read in {root}", "; ".join(bad[:5]) + more)
    pairs = near_duplicates(pictures) if pictures else []
    named = tuple((names[pair.first], names[pair.second]) for pair in pairs)
    dropped: tuple[str, ...] = ()
    if named and duplicates == "refuse":
        fail("photographs", "no near-duplicates", _listed(named))
    if named and duplicates == "drop":
        dropped = tuple(sorted({second for _, second in named}))
    elif named:
        warnings.warn(
            f"near-duplicate photographs in {root}, each a class of its own: {_listed(named)}",
            NearDuplicateWarning,
            stacklevel=3,
        )
    kept = tuple(name for name in names if name not in dropped)
    if len(kept) < 2:
        fail("photographs", "a folder with at least two photographs", f"{len(kept)} in {root}")
    return PhotographFolder(folder, kept, named, dropped, tuple(small), digest)


def _listed(pairs: tuple[tuple[str, str], ...]) -> str:
    more = f" and {len(pairs) - 10} more pairs" if len(pairs) > 10 else ""
    return "; ".join(f"{first} and {second}" for first, second in pairs[:10]) + more


def _short_side(file: Path) -> int:
    """From the header, without decoding, where Pillow knows the format."""
    require_extra("PIL", "data")
    from PIL import Image

    try:
        with Image.open(file) as opened:
            return min(opened.size)
    except OSError:
        return min(read_picture(file).pixels.shape[-2:])
