"""`pairs`: anyone's pictures with captions, from a folder or from a JSON-lines index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, check_bool, check_choice, check_generator, fail
from wavevit.data.picture_files import (
    UnreadablePictureError,
    find_pictures,
    luminance,
    read_picture,
)
from wavevit.data.scenes import SPLITS
from wavevit.data.sources import Source, register_source
from wavevit.data.windows import by_contrast
from wavevit.files import as_path

__all__ = ["Pair", "Pairs", "read_pairs"]

_TEST, _VALIDATION = 0.2, 0.25  # shares: of all pictures, and of those that are trained on


class Pair(NamedTuple):
    """A picture and one of its captions.

    Attributes:
        name: of the picture without its suffix, relative to the folder; decides its split.
        path: of the picture.
        text: the caption.
    """

    name: str
    path: Path
    text: str


def read_pairs(path: str | Path) -> list[Pair]:
    """Reads the captions of a folder or of an index; pictures are not opened.

    Args:
        path: a folder with ``NAME.jpg`` (or another kind of picture) and ``NAME.txt`` beside it,
            one caption for each line, folders inside it included; or a file of JSON lines
            ``{"image": PATH, "text": CAPTION}`` with paths relative to that file.

    Returns:
        One `Pair` for each caption, sorted by name in a folder, in the order of an index.

    Raises:
        ValueError: no such path, a picture without captions, an empty caption, or a line that is
            no such JSON; the message names file and line.
    """
    path = as_path("path", path)
    pairs = _from_folder(path) if path.is_dir() else _from_index(path)
    if not pairs:
        fail("path", "pictures with captions", f"none in {path}")
    return pairs


def _from_folder(folder: Path) -> list[Pair]:
    pairs = []
    for picture in find_pictures(folder):
        captions = picture.with_suffix(".txt")
        if not captions.is_file():
            fail("path", f"a file of captions {captions.name}", f"{picture} without one")
        lines = _lines(captions) or [""]
        name = picture.relative_to(folder).with_suffix("").as_posix()
        for number, line in enumerate(lines, start=1):
            pairs.append(Pair(name, picture, _caption(line, captions, number)))
    return pairs


def _from_index(index: Path) -> list[Pair]:
    if not index.is_file():
        fail("path", "a folder of pairs or a file of JSON lines", repr(str(index)))
    pairs = []
    for number, line in enumerate(_lines(index), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            fail("path", "JSON on each line", f"{error.msg} ({index}, line {number})")
        if not isinstance(entry, dict) or not all(
            isinstance(entry.get(key), str) for key in ("image", "text")
        ):
            expected = 'lines {"image": path, "text": caption}, both strings'
            fail("path", expected, f"{line[:60]} ({index}, line {number})")
        text = _caption(entry["text"], index, number)
        name = Path(entry["image"]).with_suffix("").as_posix()
        pairs.append(Pair(name, index.parent / entry["image"], text))
    return pairs


def _lines(path: Path) -> list[str]:
    try:
        # With or without a byte order mark. `splitlines` would also split at characters that JSON
        # and captions may hold, such as U+2028.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        fail("path", "text in UTF-8", f"{path} ({error.reason} at byte {error.start})")
    return lines if lines[-1] else lines[:-1]


def _caption(text: str, path: Path, number: int) -> str:
    if not text.strip():
        fail("path", "captions that are not empty", f"an empty one ({path}, line {number})")
    return text.strip()


@register_source("pairs")
class Pairs(Source):
    """Crops of pictures with their captions under ``"texts"``, their names under ``"pictures"``.

    A crop is a large square at a random place, resized to the window. Each window is normalised to
    mean 0 and contrast about 1 of the crop in its middle, as `Scenes` does.

    Args:
        split, crop_size, margin: see `Source`. A fifth of the pictures is in ``"test"``; of the
            others a quarter is in ``"validation"`` and the rest in ``"fit"``. A hash of the name
            decides, so further pictures move no other to another split.
        path: see `read_pairs`.
        color: three channels in place of luminance.
        scale: smallest and largest side of a square, as shares of the picture's shorter side.
        check: read every picture of the split once at the start, so that bad ones are reported
            before a training starts.

    Raises:
        ValueError: as `read_pairs`; pictures that cannot be read, by name; a split without
            pictures; or a bad scale.

    Guarantees:
        Splits, draws and messages (tests/unit/test_pairs.py).
    """

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        path: str | Path | None = None,
        color: bool = False,
        scale: tuple[float, float] = (0.8, 1.0),
        check: bool = True,
    ) -> None:
        super().__init__(check_choice("split", split, SPLITS), crop_size, margin)
        if path is None:
            fail("path", "a folder of pairs or a file of JSON lines", None)
        pair = isinstance(scale, Sequence) and len(scale) == 2
        if not pair or not 0 < scale[0] <= scale[1] <= 1:
            fail("scale", "0 < smallest <= largest <= 1", scale)
        self.scale, self.color = scale, check_bool("color", color)
        self.in_chans = 3 if color else 1
        self.pairs = [pair for pair in read_pairs(path) if split in _splits(pair.name)]
        if not self.pairs:
            fail("path", f"pictures in the split {split!r}", f"none in {path}")
        if check_bool("check", check):
            self._check()

    def _check(self) -> None:
        bad = []
        for path in sorted({pair.path for pair in self.pairs}):
            try:
                read_picture(path)
            except UnreadablePictureError as error:
                bad.append(f"{path} ({error.reason})")
        if bad:
            more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
            fail("path", "pictures that can be read", "; ".join(bad[:5]) + more)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        check_at_least("count", count, 1)
        check_generator("generator", generator)
        rounds = -(-count // len(self.pairs))
        orders = [torch.randperm(len(self.pairs), generator=generator) for _ in range(rounds)]
        chosen = [self.pairs[index] for index in torch.cat(orders)[:count].tolist()]
        draws = torch.rand(count, 3, generator=generator).tolist()
        windows = [self._window(p.path, draw) for p, draw in zip(chosen, draws, strict=True)]
        images = torch.stack(windows)
        middle = slice(self.margin, self.margin + self.crop_size)
        crop = images[..., middle, middle]
        images = by_contrast(images, crop)
        texts, names = [pair.text for pair in chosen], [pair.name for pair in chosen]
        return {"images": images, "texts": texts, "pictures": names}

    def _window(self, path: Path, draw: list[float]) -> Tensor:
        pixels = read_picture(path).pixels
        pixels = pixels if self.color else luminance(pixels)
        height, width = pixels.shape[-2:]
        share = self.scale[0] + (self.scale[1] - self.scale[0]) * draw[0]
        side = max(round(share * min(height, width)), 1)
        top, left = (
            int(d * (n - side + 1)) for d, n in zip(draw[1:], (height, width), strict=True)
        )
        square = pixels[None, :, top : top + side, left : left + side]
        shape = (self.window, self.window)
        return F.interpolate(square, shape, mode="bilinear", antialias=True)[0]


def _splits(name: str) -> tuple[str, ...]:
    """The splits that a picture is in."""
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()  # names not in UTF-8
    place, inner = (int.from_bytes(digest[i : i + 8], "big") / 2**64 for i in (0, 8))
    if place < _TEST:
        return ("test",)
    return "train", "validation" if inner < _VALIDATION else "fit"
