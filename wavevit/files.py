"""Output files: checks before the work begins, and atomic writes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wavevit.checks import fail

__all__ = [
    "PART",
    "as_path",
    "check_output_file",
    "check_output_folder",
    "shown_name",
    "write_whole",
]

PART = ".part"  # ends the name of a file while `write_whole` writes it


def as_path(argument: str, value: object) -> Path:
    """The path that a string or a path-like object says.

    Raises:
        ValueError: something else.
    """
    if not isinstance(value, str | os.PathLike):
        fail(argument, "a path", repr(value))
    return Path(value)


def shown_name(path: str | Path) -> str:
    """The name of a file as text that can be drawn: bytes that are not UTF-8 as ``\\xe9``."""
    name = Path(path).name
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file atomically, and creates its folder: a reader, or a kill, sees the old file or
    the new one.

    Raises:
        OSError: the file cannot be written, for example on a full disk. Its name is in the message,
            and no part of it is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the process's number: machines that share the folder may have processes of one number.
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}{PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def check_output_file(argument: str, path: Path, *, make_folder: bool = False) -> None:
    """Checks that a file can be written where `path` says; nothing is left behind.

    Args:
        argument: its name, for complaints.
        path: of the file.
        make_folder: the folder may be missing, since what writes the file makes it.

    Raises:
        ValueError: a folder of that name, a folder above it that is missing or no folder, or one
            in which this process cannot write.
    """
    if path.is_dir():
        fail(argument, "a file", f"the folder {path}")
    if make_folder:
        check_output_folder(argument, path.parent)
        return
    if not path.parent.is_dir():
        missing = "a file" if path.parent.exists() else "which does not exist"
        fail(argument, "a file in an existing folder", f"{path} (in {path.parent}, {missing})")
    _check_writable(argument, path.parent)


def check_output_folder(argument: str, path: Path) -> None:
    """Checks that `path` is a folder in which files can be written, or can be made one.

    Raises:
        ValueError: a file of that name or above it, or a folder in which this process cannot
            write.
    """
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        fail(argument, "a folder", f"{path} ({existing} is a file)")
    _check_writable(argument, existing)


def _check_writable(argument: str, folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fail(argument, "a folder in which files can be written", f"{folder} ({error.strerror})")
