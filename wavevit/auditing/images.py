"""Pictures of an audit: finds and reads files, and cuts them to each model's size."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.auditing.cuts import Cut, cut_windows, smallest_side
from wavevit.checks import fail
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.data.picture_files import (
    Picture,
    UnreadablePictureError,
    find_pictures,
    luminance,
    read_picture,
)

__all__ = ["Pictures", "load_pictures", "window_side"]

_FEWEST = 4  # an effective rank needs as many
_SMALLEST = 16  # pixels a side: less is an icon


def window_side(size: int) -> int:
    """Side of the window around a model's input of `size` pixels: 10/7 of it.

    It holds crops moved by 1/7 of the side (32 px at 224) to every direction, the 8/7 windows of
    S-Cons, and a zoom out by √2.
    """
    return math.ceil(size * 10 / 7)


@dataclass(frozen=True)
class Pictures:
    """Pictures of mixed sizes.

    Attributes:
        names: file names, or names of the bundled photographs; for windows with their position.
        pixels: (3, H, W) float32 in [0, 1] each.
        source: where they come from, in words.
        skipped: file name and reason for each file that could not be read.
        left_out: number of readable files that were not needed.
        notes: file name and how its values were scaled, if the format does not define it.
        cut: the grid of windows on each picture, if there were fewer than four pictures.
    """

    names: tuple[str, ...]
    pixels: tuple[Tensor, ...]
    source: str
    skipped: tuple[tuple[str, str], ...] = ()
    left_out: int = 0
    notes: tuple[tuple[str, str], ...] = ()
    cut: tuple[Cut, ...] = ()

    def windows(self, size: int, channels: int = 3) -> Tensor:
        """The middle of each picture, its short side made `window_side` pixels: (N, C, W, W).

        Args:
            size: side of the model's input.
            channels: 1 gives luminance, 3 colour, another number luminance repeated.
        """
        side = window_side(size)
        found = torch.cat([_fitted(picture, side) for picture in self.pixels])
        return found if channels == 3 else luminance(found).expand(-1, channels, -1, -1)

    def enlarged(self, size: int) -> tuple[str, ...]:
        """Names of the pictures that were too small for `windows` and had to be enlarged."""
        pairs = zip(self.names, self.pixels, strict=True)
        return tuple(name for name, p in pairs if min(p.shape[-2:]) < window_side(size))

    def facts(self, sizes: Sequence[int]) -> dict[str, Any]:
        """What an audit's JSON says about its pictures."""
        return {
            "source": self.source,
            "used": list(self.names),
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "left_out": self.left_out,
            "enlarged": {str(size): list(self.enlarged(size)) for size in sorted(set(sizes))},
            "notes": [f"{name}: {note}" for name, note in self.notes] + self._about_cut(),
        }

    def _about_cut(self) -> list[str]:
        if not self.cut:
            return []
        count, side = len(self.cut), min(cut.side for cut in self.cut)
        common = max(cut.overlap for cut in self.cut)
        apart = f"overlap by up to {100 * common:.0f} % of a side" if common else "do not overlap"
        source = "1 picture" if count == 1 else f"{count} pictures"
        return [
            f"{len(self.names)} windows were cut from {source}, of {side} pixels a side or more; "
            f"they {apart}. Windows of one picture are more alike than different pictures. So do "
            "not compare R, the change under zoom and the rank with an audit of different "
            "pictures; standard errors are too small."
        ]


def _fitted(picture: Tensor, side: int) -> Tensor:
    """(1, 3, side, side) of a picture (3, H, W)."""
    short = min(picture.shape[-2:])
    height, width = (max(round(length * side / short), side) for length in picture.shape[-2:])
    resized = picture[None]
    if short != side:
        resized = F.interpolate(
            resized, (height, width), mode="bicubic", align_corners=False, antialias=True
        ).clamp(0, 1)
    top, left = (height - side) // 2, (width - side) // 2
    return resized[..., top : top + side, left : left + side]


def load_pictures(source: Any, count: int, short_side: int) -> Pictures:
    """Reads up to `count` pictures.

    Args:
        source: None for the bundled photographs; a folder, searched recursively (if it has more
            pictures than `count`, an evenly spaced subset), a file, or a sequence of files; or a
            tensor (N, C, H, W) in [0, 1] with one or three channels.
        count: number of pictures.
        short_side: short side in pixels; larger pictures are reduced to it.

    Returns:
        `Pictures`, ordered by name. Fewer than four pictures are cut into at least four windows,
        up to `count` if they do not overlap.

    Raises:
        ValueError: no such folder, a tensor of another shape or range, no readable picture, or
            fewer than four pictures that are too small to be cut. The message lists the skipped
            files.
    """
    if source is None:
        return _bundled(count, short_side)
    if isinstance(source, Tensor):
        return _from_tensor(source, count, short_side)
    named, base = _candidates(source)
    found: dict[int, Picture] = {}
    skipped, tried = [], 0
    for index in _spread(len(named), count):
        if len(found) == count:
            break
        tried += 1
        name, path = named[index]
        try:
            found[index] = _read(path, short_side if len(named) >= _FEWEST else None)
        except _UnusableError as error:
            skipped.append((name, str(error)))
    if 0 < len(found) < _FEWEST <= len(named):  # as large as they are, to be cut
        found = {index: _read(named[index][1], None) for index in found}
    order = sorted(found)
    notes = tuple((named[index][0], found[index].note) for index in order if found[index].note)
    names, pixels = [named[index][0] for index in order], [found[index].pixels for index in order]
    cut: list[Cut] = []
    if len(found) < _FEWEST:
        listed = "; ".join(f"{name}: {reason}" for name, reason in skipped[:6])
        more = f"; … {len(skipped) - 6} more" if len(skipped) > 6 else ""
        got = f"{len(found)} of {len(named)} candidates"
        got += f" ({len(skipped)} skipped: {listed}{more})" if skipped else ""
        names, pixels, cut = _cut(
            names, pixels, count, short_side, f"readable pictures in {base}", got
        )
    return Pictures(
        tuple(names),
        tuple(pixels),
        base,
        tuple(sorted(skipped)),
        len(named) - tried,
        notes,
        tuple(cut),
    )


def _bundled(count: int, short_side: int) -> Pictures:
    names = NAMES[:count]
    pixels = tuple(load_photograph(name, short_side, color=True) for name in names)
    source = "bundled photographs (from scikit-image)"
    return Pictures(names, pixels, source, (), len(NAMES) - len(names))


def _from_tensor(images: Tensor, count: int, short_side: int) -> Pictures:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        got = f"{images.dtype} of shape {tuple(images.shape)}"
        fail("images", "a floating tensor (N, 1 or 3, H, W)", got)
    if images.numel() == 0:
        fail("images", "pictures with pixels", f"shape {tuple(images.shape)}")
    if not bool(torch.isfinite(images).all()) or images.min() < 0 or images.max() > 1:
        fail("images", "values in [0, 1]", f"[{float(images.min()):g}, {float(images.max()):g}]")
    pixels = list(images[:count].detach().float().cpu().expand(-1, 3, -1, -1))
    names = [f"image {index}" for index in range(len(pixels))]
    left_out = len(images) - len(pixels)
    cut: list[Cut] = []
    if len(pixels) < _FEWEST:
        got = f"shape {tuple(images.shape)}"
        names, pixels, cut = _cut(names, pixels, count, short_side, "pictures", got)
    return Pictures(tuple(names), tuple(pixels), "tensor", (), left_out, (), tuple(cut))


def _cut(
    names: list[str], pixels: list[Tensor], count: int, short_side: int, wanted: str, got: str
) -> tuple[list[str], list[Tensor], list[Cut]]:
    """Windows of fewer than four pictures, reduced to `short_side`."""
    found = cut_windows(names, pixels, _FEWEST, count, short_side) if pixels else None
    if found is None:
        least = smallest_side(short_side)
        expected = (
            f"at least {_FEWEST} {wanted}, or one to {_FEWEST - 1} of at least "
            f"{least} x {least} pixels to cut into windows"
        )
        sizes = ", ".join(f"{picture.shape[-1]} x {picture.shape[-2]}" for picture in pixels)
        fail("images", expected, f"{got} of {sizes} pixels" if sizes else got)
    names, windows, cuts = found
    return names, [_reduced(window, short_side) for window in windows], cuts


def _candidates(source: Any) -> tuple[list[tuple[str, Path]], str]:
    """Name and path of each file that may be a picture, and where they are from."""
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return [(p.relative_to(path).as_posix(), p) for p in find_pictures(path)], str(source)
        if path.exists():
            return [(path.name, path)], str(source)
        fail("images", "a folder of pictures, or a picture", repr(str(path)))
    kinds = "a folder, a file, several files, or a floating tensor"
    if not isinstance(source, Iterable):
        fail("images", kinds, type(source).__name__)
    paths = []
    for item in source:
        if not isinstance(item, str | Path):
            fail("images", kinds, f"a {type(source).__name__} of {type(item).__name__}")
        paths.append(Path(item))
    paths = list(dict.fromkeys(paths))  # a file twice would be no second picture
    short = Counter(path.name for path in paths)
    return [(p.name if short[p.name] == 1 else p.as_posix(), p) for p in paths], "files"


def _spread(total: int, count: int) -> Iterator[int]:
    """All indices, `count` of them evenly spread first, then what replaces unreadable ones."""
    first = [index * total // count for index in range(count)] if total > count else range(total)
    yield from first
    taken = set(first)
    yield from (index for index in range(total) if index not in taken)


class _UnusableError(Exception):
    """Why a file is no picture for an audit."""


def _read(path: Path, short_side: int | None) -> Picture:
    """A picture, reduced to `short_side` pixels where it is larger."""
    try:
        picture = read_picture(path)
    except UnreadablePictureError as error:
        raise _UnusableError(error.reason) from error
    height, width = picture.pixels.shape[-2:]
    if min(height, width) < _SMALLEST:
        raise _UnusableError(f"{width} x {height} pixels, smaller than {_SMALLEST}")
    if short_side is None:
        return picture
    return dataclasses.replace(picture, pixels=_reduced(picture.pixels, short_side))


def _reduced(pixels: Tensor, short_side: int) -> Tensor:
    """(3, H, W) with a short side of `short_side` pixels, where it has more."""
    short = min(pixels.shape[-2:])
    if short <= short_side:
        return pixels
    size = [max(round(side * short_side / short), short_side) for side in pixels.shape[-2:]]
    reduced = F.interpolate(pixels[None], size, mode="bicubic", align_corners=False, antialias=True)
    return reduced[0].clamp(0, 1)
