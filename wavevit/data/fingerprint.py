"""Digests of files: whether a folder holds what it held when a run began."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from wavevit.checks import fail

__all__ = ["check_digest", "files_digest"]


def files_digest(root: Path, files: Iterable[Path]) -> str:
    """Twelve hexadecimal digits from names and sizes of files; their contents are not read.

    Args:
        root: names are relative to it.
        files: below the root.
    """
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size if file.exists() else -1  # -1: a link to nothing
        line = f"{file.relative_to(root).as_posix()}\0{size}\n"
        digest.update(line.encode(errors="surrogateescape"))  # names that are not UTF-8
    return digest.hexdigest()[:12]


def check_digest(wanted: str, found: str, root: Path) -> None:
    """Raises a ``ValueError`` if the files below the root are not those of a digest."""
    if found != wanted:
        fail("digest", f"{wanted}, that of the files when the run began", f"{found} of {root}")
