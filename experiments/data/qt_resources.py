"""Read Qt resource files (``.rcc``): a tree of names, and the bytes of each file.

The format is that of Qt's ``rcc --binary``, versions 1 to 3; all numbers are big-endian:

* header: ``qres``, version, offsets of tree, data and names (from version 3 on, flags too);
* tree: nodes of 14 bytes, 22 from version 2 on (a time of change at the end): offset of the name,
  flags, and for a folder the number and the index of its children, which follow each other, or
  for a file country, language and offset of its data;
* names: number of UTF-16 units, a hash, the units;
* data: number of bytes, the bytes; those of a compressed file begin with the size that zlib
  restores, or are Zstandard's.
"""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from wavevit.checks import fail

_ZLIB, _FOLDER, _ZSTANDARD = 1, 2, 4


@dataclass(frozen=True)
class ResourceFile:
    """A file in a resource.

    Attributes:
        path: its folders and its name, joined by ``/``.
        stored: its bytes as they are stored.
        flags: how they are.
    """

    path: str
    stored: bytes
    flags: int

    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            ValueError: Zstandard's compression where this Python has no module for it.
        """
        if self.flags & _ZLIB:
            return zlib.decompress(self.stored[4:])
        if self.flags & _ZSTANDARD:
            return _zstandard(self.stored)
        return self.stored


def read_resources(data: bytes) -> Iterator[ResourceFile]:
    """The files in a Qt resource file, depth first.

    Args:
        data: the bytes of the ``.rcc`` file.

    Raises:
        ValueError: other bytes, or a version above 3.
    """
    if data[:4] != b"qres" or len(data) < 20:
        fail("data", "a Qt resource file, which begins with b'qres'", data[:4])
    version, tree, payload, names = struct.unpack_from(">4I", data, 4)
    if not 1 <= version <= 3:
        fail("data", "version 1, 2 or 3 of Qt's resource format", version)
    size = 14 if version == 1 else 22

    def walk(index: int, parents: tuple[str, ...]) -> Iterator[ResourceFile]:
        name_at, flags = struct.unpack_from(">IH", data, tree + size * index)
        own = parents
        if index:  # the root has no name
            (units,) = struct.unpack_from(">H", data, names + name_at)
            start = names + name_at + 6
            own = (*parents, data[start : start + 2 * units].decode("utf-16-be"))
        if flags & _FOLDER:
            count, first = struct.unpack_from(">II", data, tree + size * index + 6)
            for child in range(first, first + count):
                yield from walk(child, own)
        else:
            (data_at,) = struct.unpack_from(">I", data, tree + size * index + 10)
            (length,) = struct.unpack_from(">I", data, payload + data_at)
            start = payload + data_at + 4
            yield ResourceFile("/".join(own), data[start : start + length], flags)

    yield from walk(0, ())


def _zstandard(stored: bytes) -> bytes:
    for name in ("compression.zstd", "zstandard"):  # Python 3.14's own, or the package
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        if name == "zstandard":
            return bytes(module.ZstdDecompressor().decompressobj().decompress(stored))
        return bytes(module.decompress(stored))
    fail("data", "a Python with Zstandard (3.14, or pip install zstandard)", "neither")
