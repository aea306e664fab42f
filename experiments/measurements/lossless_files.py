"""Sizes of images in lossless file formats, by Pillow: PNG, WebP and JPEG 2000.

A file of a small crop is in good part headers. So the bytes of the compressed pixels are counted
apart from the rest: the data of the IDAT chunks of a PNG, the VP8L chunk of a WebP file, and
everything from the first start-of-data marker of a JPEG 2000 codestream (without the JP2 boxes).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from wavevit.checks import fail

_START_OF_DATA = b"\xff\x93"  # marker of JPEG 2000


class FileSize(NamedTuple):
    """Bytes of a file.

    Attributes:
        whole: all of them.
        pixels: those of the compressed pixels.
    """

    whole: int
    pixels: int


def _png_pixels(data: bytes) -> int:
    place, total = 8, 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        total += length if data[place + 4 : place + 8] == b"IDAT" else 0
        place += 12 + length
    return total


def _webp_pixels(data: bytes) -> int:
    place = 12
    while data[place : place + 4] != b"VP8L":
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return int.from_bytes(data[place + 4 : place + 8], "little")


def _jpeg2000_pixels(data: bytes) -> int:
    return len(data) - data.index(_START_OF_DATA) - len(_START_OF_DATA)


# Name -> what Pillow is told, and what counts the bytes of pixels. All settings are the smallest.
FORMATS: dict[str, tuple[dict[str, Any], Callable[[bytes], int]]] = {
    "PNG": ({"format": "PNG", "optimize": True}, _png_pixels),
    "WebP": (
        {"format": "WEBP", "lossless": True, "quality": 100, "method": 6, "exact": True},
        _webp_pixels,
    ),
    "JPEG 2000": ({"format": "JPEG2000", "irreversible": False, "no_jp2": True}, _jpeg2000_pixels),
}


def file_sizes(image: np.ndarray, name: str) -> FileSize:
    """Size of one image in a format.

    Args:
        image: uint8, (H, W) or (H, W, 3).
        name: one of `FORMATS`.

    Raises:
        ValueError: the file does not give the image back: the format lost something.
    """
    options, pixels = FORMATS[name]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    data = buffer.getvalue()
    mode = "L" if image.ndim == 2 else "RGB"
    back = np.asarray(Image.open(io.BytesIO(data)).convert(mode))
    if not np.array_equal(back, image):
        fail("image", f"one that {name} keeps exactly", "another one after reading")
    return FileSize(len(data), pixels(data))


def lossless_bits(images: Sequence[np.ndarray]) -> dict[str, dict[str, list[float]]]:
    """By format, bits per value of each image: of the ``whole`` file, and of its ``pixels``."""
    found = {}
    for name in FORMATS:
        sizes = [file_sizes(image, name) for image in images]
        found[name] = {
            kind: [
                8 * getattr(size, kind) / image.size
                for size, image in zip(sizes, images, strict=True)
            ]
            for kind in FileSize._fields
        }
    return found
