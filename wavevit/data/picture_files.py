"""Read a picture file of any mode and bit depth as values in [0, 1].

All of wavevit reads users' pictures with this module. Pillow decodes files; tifffile
decodes the TIFF files that Pillow refuses or would reduce to 8 bits.

How values are read:

* Unsigned 1, 8 and 16 bits: 0 is black, the largest value of the format is white (TIFF and PNM
  files declare their bits).
* Floating point with all values in [0, 1]: unchanged.
* Other floating point, signed integers, integers of 32 and 64 bits: there is no convention for
  white. The smallest value of the picture becomes 0 and its largest 1, with a note.
* NaN and infinite values are refused.
* Transparent pixels are shown on white.
* Colours are read as sRGB; ICC profiles and gamma entries are ignored.
* The first of several frames is read; EXIF's orientation is applied.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from wavevit.checks import fail, require_extra
from wavevit.files import as_path

__all__ = ["Picture", "UnreadablePictureError", "find_pictures", "luminance", "read_picture"]

Array = np.ndarray[Any, Any]

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Of Pillow's formats: pages, drawings that another program would have to run for, and containers
# of data that Pillow names but does not decode.
_NO_PICTURES = {"PDF", "EPS", "WMF", "HDF5", "GRIB", "BUFR", "MPEG"}
# Layouts of colours of 16 bits in a file, by Pillow's names; N is the machine's own order.
_DEEP = {"LA;16B", *(f"{mode};16{order}" for mode in ("RGB", "RGBA") for order in "BLN")}
# What makes a picture upright, by EXIF's orientation.
_UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


class UnreadablePictureError(ValueError):
    """Error for a file that is no picture or that cannot be read.

    Args:
        path: of the file.
        reason: see `reason`.

    Attributes:
        reason: the reason, without the path.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"path: expected a picture that can be read, got {path} ({reason})")
        self.reason = reason


@dataclass(frozen=True)
class _Bytes:
    """The bytes of a file, with what is used of a path."""

    name: str
    content: bytes

    def open(self, mode: str = "rb") -> IO[bytes]:
        return io.BytesIO(self.content)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Picture:
    """A picture, and a note on the scaling of its values.

    Attributes:
        pixels: (3, H, W) float32 in [0, 1]; a grey picture has three equal channels.
        note: how the file's values were scaled if the format does not define white; otherwise
            empty.
    """

    pixels: Tensor
    note: str = ""


def read_picture(path: str | Path | bytes, name: str = "bytes") -> Picture:
    """Reads a picture file; the module's docstring says how its values are read.

    Args:
        path: path of the file, or its bytes. Its content decides the format, not its name.
        name: of bytes, for messages.

    Returns:
        A `Picture`.

    Raises:
        UnreadablePictureError: (a ``ValueError``) no file, a folder, no picture, a damaged one,
            values that are not finite, more channels than a picture has, or more pixels than
            twice ``PIL.Image.MAX_IMAGE_PIXELS``.

    Guarantees:
        All values of a grey or RGB picture of 8 or 16 bits are kept in PNG, TIFF and PNM files;
        pixels are equal in every mode and orientation (tests/unit/test_picture_files.py). Pillow
        reduces colours of more than 8 bits in JPEG 2000, AVIF and SGI files, and CMYK of 16 bits,
        to 8 bits.
    """
    for module in ("PIL", "tifffile"):
        require_extra(module, "data")
    file = _Bytes(name, path) if isinstance(path, bytes) else as_path("path", path)
    if isinstance(file, Path) and file.is_dir():
        raise UnreadablePictureError(file, "a folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata; damaged pixels are errors
            colour, alpha, note = _decoded(file)
    except Exception as error:  # decoders throw all sorts of errors at damaged files
        said = " ".join(str(error).replace(str(file), file.name).split())
        raise UnreadablePictureError(str(file), f"{type(error).__name__}: {said}") from error
    if alpha is not None:
        colour = colour * alpha[..., None] + (1 - alpha[..., None])
    pixels = np.broadcast_to(colour, (*colour.shape[:2], 3)).transpose(2, 0, 1)
    return Picture(torch.from_numpy(np.array(pixels, dtype=np.float32, order="C")), note)


def luminance(pixels: Tensor) -> Tensor:
    """Converts colours (…, 3, H, W) to grey (…, 1, H, W) with the weights of ITU-R BT.709."""
    weights = pixels.new_tensor([0.2125, 0.7154, 0.0721])[:, None, None]
    return (pixels * weights).sum(dim=-3, keepdim=True)


def find_pictures(folder: str | Path) -> list[Path]:
    """Finds the files in a folder with the suffix of a picture, sorted; also in linked folders.

    Args:
        folder: folder, searched recursively.

    Raises:
        ValueError: no such folder, or one that cannot be listed.
    """
    require_extra("PIL", "data")
    from PIL import Image

    folder = as_path("folder", folder)
    if not folder.is_dir():
        fail("folder", "a folder of pictures", repr(str(folder)))
    known = Image.registered_extensions().items()
    suffixes = {suffix for suffix, kind in known if kind not in _NO_PICTURES}
    found: list[Path] = []
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        where = waiting.pop()
        if where.resolve() in seen:  # a link to a folder above it
            continue
        seen.add(where.resolve())
        try:
            for entry in where.iterdir():
                if entry.is_dir():
                    waiting.append(entry)
                elif entry.suffix.lower() in suffixes and (entry.is_file() or not entry.exists()):
                    found.append(entry)  # a link to nothing too: its reader says what is wrong
        except OSError as error:
            fail("folder", "folders that can be listed", f"{where} ({error.strerror})")
    return sorted(found)


def _decoded(path: Path | _Bytes) -> tuple[Array, Array | None, str]:
    """Colour (H, W, 1 or 3) and alpha (H, W), both in [0, 1], and the note."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise ValueError("an empty file")
    if start in _TIFF:
        found = _from_tifffile(path)
        if found is not None:
            return found
    with _opened(path) as opened:
        return _from_pillow(opened, path)


@contextmanager
def _opened(path: Path | _Bytes) -> Iterator[Any]:
    """A picture opened by Pillow.

    It gets a file and no path: given a path, Pillow 13 maps uncompressed pixels into memory, and
    scrambles those of a TIFF file that lies on its side (EXIF orientations 5 to 8).
    """
    from PIL import Image, UnidentifiedImageError

    with path.open("rb") as file:
        try:
            opened = Image.open(file)
        except UnidentifiedImageError as error:
            raise UnidentifiedImageError(f"cannot identify image file {path.name!r}") from error
        with opened:
            yield opened


def _from_tifffile(path: Path | _Bytes) -> tuple[Array, Array | None, str] | None:
    """The first page of a TIFF file of more than 8 bits, or one that Pillow does not know.

    None where Pillow reads it as well or better: 8 bits, palettes, colour spaces other than RGB,
    and compressions for which tifffile needs a further package.
    """
    from PIL import Image, UnidentifiedImageError
    from tifffile import PHOTOMETRIC, TiffFile

    with path.open("rb") as stream, TiffFile(stream) as file:
        page: Any = file.pages[0]
        kinds = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
        if page.photometric not in kinds:
            return None
        if page.dtype is None or page.dtype in (np.uint8, np.bool_):
            try:
                with _opened(path):
                    return None
            except UnidentifiedImageError:
                pass
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and page.imagelength * page.imagewidth > 2 * limit:
            raise Image.DecompressionBombError(
                f"{page.imagewidth} x {page.imagelength} pixels exceed the limit of {2 * limit}"
            )
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" in str(error):
                return None
            raise
        if page.axes == "SYX":
            pixels = pixels.transpose(1, 2, 0)
        elif page.axes == "YX":
            pixels = pixels[..., None]
        elif page.axes != "YXS":
            raise ValueError(f"pixels along {page.axes}, not rows, columns and channels")
        orientation = page.tags.valueof("Orientation", 1)
        pixels = _UPRIGHT.get(int(orientation), lambda upright: upright)(pixels)
        extra = tuple(int(sample) for sample in page.extrasamples)
        colours = pixels.shape[-1] - len(extra)
        if colours not in (1, 3) or len(extra) > 1:
            raise ValueError(f"{pixels.shape[-1]} channels, not those of a grey or RGB picture")
        colour, note = _unit(pixels[..., :colours], (1 << page.bitspersample) - 1)
        if page.photometric == PHOTOMETRIC.MINISWHITE:
            colour = 1 - colour
        if not extra or extra[0] not in (1, 2):  # unspecified: no transparency
            return colour, None, note
        alpha, _ = _unit(pixels[..., colours], (1 << page.bitspersample) - 1)
        if extra[0] == 1:  # the colours are multiplied by it already; `read_picture` does it again
            colour = np.where(alpha[..., None] > 0, colour / alpha.clip(1e-12)[..., None], 1)
        return colour, alpha, note


def _unit(values: Array, white: int) -> tuple[Array, str]:
    """Values in [0, 1] by the module's rule, and the note where the picture itself sets the range.

    Args:
        values: of any real dtype.
        white: the largest value of unsigned integers up to 16 bits.
    """
    if values.dtype == np.bool_:
        return values.astype(np.float32), ""
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return values.astype(np.float32) / white, ""
    if values.dtype.kind not in "iuf":
        raise ValueError(f"pixels of dtype {values.dtype}")
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        lost = int(wide.size - np.isfinite(wide).sum())
        raise ValueError(f"{lost} of {wide.size} values are NaN or infinite")
    low, high = float(wide.min()), float(wide.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return wide, ""
    note = f"{values.dtype} values from {low:g} to {high:g} scaled to [0, 1]"
    return (wide - low) / ((high - low) or 1.0), note


def _from_pillow(opened: Any, path: Path | _Bytes) -> tuple[Array, Array | None, str]:
    from PIL import ImageOps

    raw = _raw_mode(opened)
    if raw is not None:
        colour, alpha = _sixteen_bits(opened, path, raw)
        return colour, alpha, ""
    clear = opened.info.get("transparency")
    picture = ImageOps.exif_transpose(opened)
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        white = 65535
        if picture.mode == "I" and opened.format in ("PNG", "PPM"):
            values = values.astype(np.uint16)  # both have 16 bits at most
        elif opened.format == "TIFF":
            white = (1 << opened.tag_v2[258][0]) - 1  # bits per sample
        colour, note = _unit(values[..., None], white)
        return colour, None if clear is None else (values != clear).astype(np.float32), note
    if picture.mode == "LAB":
        picture = _srgb(picture)
    has_alpha = picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if not has_alpha and "transparency" not in picture.info:
        return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255, None, ""
    pixels = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255
    return pixels[..., :3], pixels[..., 3], ""


def _srgb(picture: Any) -> Any:
    """CIELAB to sRGB, with the white points of both."""
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")


def _raw_mode(opened: Any) -> str | None:
    """The layout in the file of colours of 16 bits, of which Pillow's pixels keep the upper 8."""
    if not opened.tile:
        return None
    layout = opened.tile[0][3]
    if opened.format == "PPM" and opened.mode == "RGB" and opened.tile[0][0] == "ppm":
        return "RGB;16B" if isinstance(layout, tuple) and layout[-1] > 255 else None
    name = layout if isinstance(layout, str) else (layout or ("",))[0]
    return name if name in _DEEP else None


def _sixteen_bits(opened: Any, path: Path | _Bytes, raw: str) -> tuple[Array, Array | None]:
    """Colour and alpha of 16 bits: Pillow decodes the file twice, once for each byte of a value."""
    white = 65535
    if raw == "LA;16B":
        # Four bytes a pixel, as RGBA of 8 bits has: both bytes of grey and of alpha.
        pair = _decoded_as(path, "RGBA").astype(np.uint16)
        values = pair[..., 0::2] * 256 + pair[..., 1::2]
    else:
        base, order = raw[:-1], raw[-1]
        little = order == "L" or (order == "N" and sys.byteorder == "little")
        # Pillow's modes ;16B and ;16L keep the first and the second byte of a value.
        upper, lower = ("L", "B") if little else ("B", "L")
        values = _decoded_as(path, base + upper).astype(np.uint16) * 256
        values += _decoded_as(path, base + lower)
        if opened.format == "PPM":
            white = opened.tile[0][3][-1]
    unit = values.astype(np.float32) / white
    clear = opened.info.get("transparency")
    if clear is not None:
        alpha = (values != np.asarray(clear)).any(axis=-1)
        return unit, alpha.astype(np.float32)
    return (unit[..., :-1], unit[..., -1]) if unit.shape[-1] in (2, 4) else (unit, None)


def _decoded_as(path: Path | _Bytes, raw: str) -> Array:
    """The pixels that Pillow makes of a file when it takes its bytes for those of another mode."""
    from PIL import ImageOps

    with _opened(path) as opened:
        tiles: list[Any] = list(opened.tile)
        for index, tile in enumerate(tiles):
            name, box, offset, layout = tile
            if opened.format == "PPM":
                name, layout = "raw", (raw, 0, 1)
            else:
                layout = raw if isinstance(layout, str) else (raw, *layout[1:])
            values = (name, box, offset, layout)
            tiles[index] = type(tile)(*values) if hasattr(tile, "_fields") else values
        opened.tile = tiles
        return np.asarray(ImageOps.exif_transpose(opened))
