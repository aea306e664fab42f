"""The pictures that all models of an audit see: found, read, and cut to each model's size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import fail

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
        names: file names, or those of the bundled photographs.
        pixels: (3, H, W) float32 in [0, 1] each.
        source: where they come from, in words.
        skipped: file name and reason of each that could not be read.
        left_out: readable candidates that were not needed.
    """

    names: tuple[str, ...]
    pixels: tuple[Tensor, ...]
    source: str
    skipped: tuple[tuple[str, str], ...] = ()
    left_out: int = 0

    def windows(self, size: int, channels: int = 3) -> Tensor:
        """The middle of each picture, its short side made `window_side` pixels: (N, C, W, W).

        Args:
            size: side of the model's input.
            channels: 1 gives luminance, 3 colour, another number luminance repeated.
        """
        side = window_side(size)
        found = torch.cat([_fitted(picture, side) for picture in self.pixels])
        if channels == 3:
            return found
        luminance = found.new_tensor([0.2125, 0.7154, 0.0721])[:, None, None]  # ITU-R BT.709
        return (found * luminance).sum(dim=1, keepdim=True).expand(-1, channels, -1, -1)

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
        }


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
        source: None for the bundled photographs; a folder (searched to its depth; more pictures
            than `count` are thinned out evenly), a file, or a sequence of files; or a tensor
            (N, C, H, W) in [0, 1] with one or three channels.
        count: how many are wanted.
        short_side: in pixels; larger pictures are reduced to it.

    Returns:
        `Pictures`, in the order of their names.

    Raises:
        ValueError: no such folder, a tensor of another shape or range, or fewer than four
            pictures that can be read; the message lists what was skipped.
    """
    if source is None:
        return _bundled(count, short_side)
    if isinstance(source, Tensor):
        return _from_tensor(source, count)
    if isinstance(source, str | Path):
        paths, base = _files(Path(source)), str(source)
    else:
        paths, base = [Path(path) for path in source], "files"
    found: dict[str, tuple[int, Tensor]] = {}
    skipped, tried = [], 0
    for index in _spread(len(paths), count):
        if len(found) == count:
            break
        tried += 1
        name = _relative(paths[index], base)
        try:
            found[name] = (index, _read(paths[index], short_side))
        except _Unreadable as error:
            skipped.append((name, str(error)))
    if len(found) < _FEWEST:
        listed = "; ".join(f"{name}: {reason}" for name, reason in skipped[:6])
        more = f"; … {len(skipped) - 6} more" if len(skipped) > 6 else ""
        got = f"{len(found)} of {len(paths)} candidates"
        got += f" ({len(skipped)} skipped: {listed}{more})" if skipped else ""
        fail("images", f"at least {_FEWEST} readable pictures in {base}", got)
    ordered = sorted(found.items(), key=lambda item: item[1][0])
    return Pictures(
        tuple(name for name, _ in ordered),
        tuple(pixels for _, (_, pixels) in ordered),
        base,
        tuple(sorted(skipped)),
        len(paths) - tried,
    )


def _bundled(count: int, short_side: int) -> Pictures:
    from wavevit.data.photographs import NAMES, load_photograph

    names = NAMES[:count]
    pixels = tuple(load_photograph(name, short_side, color=True) for name in names)
    source = "bundled photographs (scikit-image's)"
    return Pictures(names, pixels, source, (), len(NAMES) - len(names))


def _from_tensor(images: Tensor, count: int) -> Pictures:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        got = f"{images.dtype} of shape {tuple(images.shape)}"
        fail("images", "a floating tensor (N, 1 or 3, H, W)", got)
    if len(images) < _FEWEST:
        fail("images", f"at least {_FEWEST} pictures", len(images))
    if not bool(torch.isfinite(images).all()) or images.min() < 0 or images.max() > 1:
        fail("images", "values in [0, 1]", f"[{float(images.min()):g}, {float(images.max()):g}]")
    chosen = images[:count].detach().float().cpu().expand(-1, 3, -1, -1)
    names = tuple(f"image {index}" for index in range(len(chosen)))
    return Pictures(names, tuple(chosen), "tensor", (), len(images) - len(chosen))


def _files(path: Path) -> list[Path]:
    """Pictures of a folder by their suffix, sorted; a file is itself."""
    from PIL import Image

    if path.is_file():
        return [path]
    if not path.is_dir():
        fail("images", "a folder of pictures, or a picture", repr(str(path)))
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind != "PDF"}
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())


def _spread(total: int, count: int) -> Iterator[int]:
    """All indices, `count` of them evenly spread first, then what replaces unreadable ones."""
    first = [index * total // count for index in range(count)] if total > count else range(total)
    yield from first
    taken = set(first)
    yield from (index for index in range(total) if index not in taken)


def _relative(path: Path, base: str) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


class _Unreadable(Exception):
    """Why a file is no picture for an audit."""


def _read(path: Path, short_side: int) -> Tensor:
    """(3, H, W) float32 in [0, 1]: any mode, upright, transparency on white."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            pixels = _rgb(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _Unreadable(
            f"{type(error).__name__}: {error}".replace(str(path), path.name)
        ) from error
    if min(pixels.shape[:2]) < _SMALLEST:
        raise _Unreadable(f"{pixels.shape[1]} x {pixels.shape[0]} pixels, smaller than {_SMALLEST}")
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32))
    short = min(tensor.shape[-2:])
    if short <= short_side:
        return tensor
    size = [max(round(side * short_side / short), short_side) for side in tensor.shape[-2:]]
    reduced = F.interpolate(tensor[None], size, mode="bicubic", align_corners=False, antialias=True)
    return reduced[0].clamp(0, 1)


def _rgb(picture: Any) -> Any:
    """(H, W, 3) in [0, 1]."""
    if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        return np.asarray(picture, dtype=np.float32)[..., None].repeat(3, axis=2) / 65535
    if picture.mode == "F":
        raise ValueError("floating-point pixels of unknown range")
    pixels = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    return colour * alpha + (1 - alpha)
