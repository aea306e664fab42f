"""Read files in Debian packages (``.deb``) with the standard library."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from wavevit.checks import fail

_MAGIC, _HEADER = b"!<arch>\n", 60


def package_files(package: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each plain file in a Debian package.

    Args:
        package: a ``.deb`` file: an archive of ``ar`` with ``data.tar`` in it, compressed by gzip,
            xz or bzip2. (A Python with Zstandard, 3.14, reads that too.)

    Raises:
        ValueError: another file, or a compression that this Python does not read.
    """
    name, data = _data_archive(package)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name.removeprefix("./"), file.read()
    except tarfile.ReadError as error:
        fail("package", "a compression that this Python reads", f"{name} ({error})")


def _data_archive(package: Path) -> tuple[str, bytes]:
    with package.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            fail("package", "a Debian package (.deb)", str(package))
        while len(header := file.read(_HEADER)) == _HEADER:
            name = header[:16].decode("ascii").strip().rstrip("/")
            size = int(header[48:58])
            if name.startswith("data.tar"):
                return name, file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)
    fail("package", "a Debian package with data.tar in it", str(package))
