"""Labelled pictures as a data source: epochs, windows, unreadable files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, check_choice, fail
from wavevit.data.epochs import EpochSource, check_ranks, epoch_order, step_generator
from wavevit.data.picture_files import UnreadablePictureError, luminance
from wavevit.data.resizing import resized
from wavevit.data.scenes import SPLITS

__all__ = ["Cutting", "LabelledPictures", "cut_window"]

_CONTRAST_FLOOR = 0.02  # as in `Scenes`
_TRAINED = ("train", "fit")
# So many unreadable files in a row are no accident: the folder is wrong, or the disk.
_MOST_IN_A_ROW = 20
_NAMED = 20  # unreadable files that a report names; all are counted


class Cutting(NamedTuple):
    """How a window is cut from a picture.

    Attributes:
        window: its side in pixels.
        short_side: pictures are resized to this shorter side first; 0 keeps their pixels.
        scale: smallest and largest side of a random square, as shares of the picture's shorter
            side, which is resized to the window; None cuts windows of the picture's own pixels.
        random: windows at random places; otherwise from the middle, of the largest scale.
    """

    window: int
    short_side: int = 0
    scale: tuple[float, float] | None = None
    random: bool = True


def cut_window(pixels: Tensor, how: Cutting, draw: Sequence[float]) -> Tensor:
    """A window (C, W, W) of a picture (C, H, W).

    A picture whose shorter side is below the window's is enlarged to it.

    Args:
        pixels: of the picture.
        how: see `Cutting`.
        draw: three numbers in [0, 1): size, row and column.
    """
    if how.short_side:
        pixels = resized(pixels, how.short_side)
    side = how.window
    if how.scale is None:
        if min(pixels.shape[-2:]) < side:
            pixels = resized(pixels, side)
    else:
        low, high = how.scale
        share = low + (high - low) * draw[0] if how.random else high
        side = max(round(share * min(pixels.shape[-2:])), 1)
    places = draw[1:] if how.random else (0.5, 0.5)
    top, left = (
        int(place * (n - side + 1)) for place, n in zip(places, pixels.shape[-2:], strict=True)
    )
    square = pixels[:, top : top + side, left : left + side]
    if side == how.window:
        return square
    shape = (how.window, how.window)
    return F.interpolate(square[None], shape, mode="bilinear", antialias=True)[0]


class LabelledPictures(EpochSource):
    """Base class of sources of pictures with one class each: batches have ``"labels"``.

    A subclass reads one picture (`read`) and names it (`name`). In training every picture is seen
    once an epoch, in an order that follows from seed and epoch, and each rank reads its own
    pictures only. Windows are at random places for training and in the middle for measures, and
    have real pixels around the crop where the picture is as large as the window.

    A picture that cannot be read does not end the training: the one that follows it in the list
    stands in for it, and `report` counts and names it.

    Args:
        split, crop_size, margin: see `Source`.
        classes: their names.
        labels: the class of each picture of this split.
        color: three channels in place of luminance.
        short_side: pictures are resized to this shorter side first; 0 keeps their pixels.
        scale: smallest and largest side of a random square, as shares of the picture's shorter
            side, which is resized to the window; None cuts windows of the picture's own pixels.
        mean, std: of the normalisation, one number or one for each channel; by default each window
            gets mean 0 and contrast about 1 of the crop in its middle.
        workers: threads that read pictures; 0 reads them in this one.
        memory: MiB of pictures that are kept after they were read.

    Raises:
        ValueError: options out of range, or a split without pictures.

    Guarantees:
        Every picture once an epoch; a batch follows from (seed, step) alone; ranks share it
        without loss or double reading (tests/properties/test_data_laws.py).
    """

    classes: tuple[str, ...]

    def __init__(
        self,
        split: str,
        crop_size: int,
        margin: int,
        classes: Sequence[str],
        labels: Sequence[int],
        *,
        color: bool = False,
        short_side: int = 0,
        scale: tuple[float, float] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        workers: int = 0,
        memory: int = 512,
    ) -> None:
        super().__init__(check_choice("split", split, SPLITS), crop_size, margin)
        check_at_least("short_side", short_side, 0)
        check_at_least("workers", workers, 0)
        check_at_least("memory", memory, 0)
        if not len(labels):
            fail("split", "one with pictures", f"none in {split!r}")
        if scale is not None:
            if not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
                fail("scale", "0 < smallest <= largest <= 1", scale)
            scale = (float(scale[0]), float(scale[1]))
        self.classes, self.num_classes = tuple(classes), len(classes)
        self.labels = torch.tensor(labels, dtype=torch.long)
        self.color, self.in_chans = color, 3 if color else 1
        self.cutting = Cutting(self.window, short_side, scale, split in _TRAINED)
        self.statistics = _statistics(mean, std, self.in_chans)
        self.unreadable: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._kept: dict[int, Tensor] = {}
        self._room = memory * 2**20
        self._orders: dict[tuple[int, int], Tensor] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> Tensor:
        """The pixels of a picture, (3, H, W) or (1, H, W) in [0, 1].

        Raises:
            UnreadablePictureError: it cannot be read.
        """
        raise NotImplementedError

    def name(self, index: int) -> str:
        """What a report calls a picture."""
        raise NotImplementedError

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        """Random windows; no picture twice before every picture was once."""
        check_at_least("count", count, 1)
        rounds = -(-count // len(self))
        orders = [torch.randperm(len(self), generator=generator) for _ in range(rounds)]
        draws = torch.rand(count, 3, generator=generator)
        return self._batch(torch.cat(orders)[:count].tolist(), draws.tolist())

    def epoch_batch(
        self, count: int, seed: int, step: int, rank: int = 0, world: int = 1
    ) -> dict[str, Any]:
        part = check_ranks(count, rank, world)
        positions = range(step * count, (step + 1) * count)[part]
        draws = torch.rand(count, 3, generator=step_generator(seed, step))[part]
        chosen = [
            int(self._order(seed, position // len(self))[position % len(self)])
            for position in positions
        ]
        return self._batch(chosen, draws.tolist())

    def normalized(self, crops: Tensor) -> Tensor:
        """Crops normalised by themselves, unless mean and std are given ones."""
        return crops if self.statistics is not None else _by_itself(crops, crops)

    def state(self) -> dict[str, Any]:
        return {"unreadable": self.unreadable} if self.unreadable else {}

    def load_state(self, state: dict[str, Any]) -> None:
        self.unreadable = dict(state.get("unreadable", {}))

    def report(self) -> dict[str, Any]:
        """Number of pictures, and how many could not be read, with the first names."""
        found: dict[str, Any] = {"pictures": len(self), "classes": self.num_classes}
        if self.unreadable:
            named = sorted(self.unreadable.items())[:_NAMED]
            found |= {"unreadable": len(self.unreadable), "unreadable_names": dict(named)}
        return found

    def _order(self, seed: int, epoch: int) -> Tensor:
        if (seed, epoch) not in self._orders:
            if len(self._orders) > 1:  # a batch is in two epochs at most, unless they are tiny
                self._orders.clear()
            self._orders[seed, epoch] = epoch_order(len(self), seed, epoch)
        return self._orders[seed, epoch]

    def _batch(self, chosen: list[int], draws: list[list[float]]) -> dict[str, Any]:
        run = map if self._pool is None else self._pool.map
        found = list(run(self._window, chosen, draws))
        images = self._normalized(torch.stack([window for window, _ in found]))
        labels = self.labels[torch.tensor([index for _, index in found], dtype=torch.long)]
        return {"images": images, "labels": labels}

    def _window(self, index: int, draw: list[float]) -> tuple[Tensor, int]:
        """The window of a picture, or of the next one that can be read, and which one it is of."""
        for _ in range(_MOST_IN_A_ROW):
            try:
                return cut_window(self._pixels(index), self.cutting, draw), index
            except UnreadablePictureError as error:
                self.unreadable[self.name(index)] = error.reason
                last, index = error, (index + 1) % len(self)
        raise last

    def _pixels(self, index: int) -> Tensor:
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        pixels = self.read(index)
        if not self.color and len(pixels) == 3:
            pixels = luminance(pixels)
        elif self.color and len(pixels) == 1:
            pixels = pixels.expand(3, -1, -1)
        size = pixels.untyped_storage().nbytes()
        if size <= self._room:
            self._room -= size
            self._kept[index] = pixels
        return pixels

    def _normalized(self, windows: Tensor) -> Tensor:
        if self.statistics is not None:
            mean, std = self.statistics
            return (windows - mean) / std
        return _by_itself(windows, self.cut(windows, (0, 0)))


def _by_itself(windows: Tensor, crops: Tensor) -> Tensor:
    """Windows with mean 0 and contrast about 1 of their crops."""
    # All channels of a crop together: colours stay.
    mean = crops.mean(dim=(1, 2, 3), keepdim=True)
    contrast = crops.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (windows - mean) / (contrast + _CONTRAST_FLOOR)


def _statistics(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> tuple[Tensor, Tensor] | None:
    if mean is None and std is None:
        return None
    found = []
    for name, value in (("mean", mean), ("std", std)):
        if value is None:
            fail(name, "a number, as the other of mean and std is given", None)
        own = torch.tensor(value, dtype=torch.float32).reshape(-1)
        if len(own) not in (1, channels) or (name == "std" and not bool((own > 0).all())):
            kind = "positive numbers" if name == "std" else "numbers"
            fail(name, f"one or {channels} {kind}", value)
        found.append(own[:, None, None])
    return found[0], found[1]
