"""Labelled pictures as a data source: epochs, windows, unreadable files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_choice, check_generator, fail
from wavevit.data.epochs import (
    EpochSource,
    batch_places,
    check_ranks,
    epoch_order,
    step_generator,
)
from wavevit.data.picture_files import UnreadablePictureError
from wavevit.data.scenes import SPLITS
from wavevit.data.windows import WindowCutter

__all__ = ["TRAINED", "LabelledPictures", "unreadable_report"]

TRAINED = ("train", "fit")  # splits whose windows are at random places
# So many unreadable files in a row are no accident: the folder is wrong, or the disk.
_MOST_IN_A_ROW = 20
_NAMED = 20  # unreadable files that a report names; all are counted


def unreadable_report(reasons: Mapping[str, str]) -> dict[str, Any]:
    """How many pictures could not be read, with the first names and the reasons.

    Args:
        reasons: by name of the picture.
    """
    named = dict(sorted(reasons.items())[:_NAMED])
    return {"unreadable": len(reasons)} | ({"unreadable_names": named} if named else {})


class LabelledPictures(EpochSource):
    """Base class of sources of pictures with one class each: batches have ``"labels"``.

    A subclass reads one picture (`read`) and names it (`name`). In training every picture is seen
    once an epoch, in an order that follows from seed and epoch, and each rank reads its own
    pictures only. Windows are at random places for training and in the middle for measures; the
    pixels around a crop are those of its picture.

    A picture that cannot be read does not end the training: the one that follows it in the list
    takes its place, and `report` counts and names it.

    Args:
        split, crop_size, margin: see `Source`.
        classes: their names.
        labels: the class of each picture of this split.
        workers: threads that read pictures; 0 reads them in this one.
        memory: MiB of pictures that are kept after they were read.
        **cutting: ``color``, ``short_side`` and the others of `WindowCutter`.

    Raises:
        ValueError: options out of range, or a split without pictures.

    Guarantees:
        Every picture once an epoch, or a part of them `repeats` times, each time with another
        window; a batch follows from (seed, step) alone; ranks share it
        without loss or double reading (tests/properties/test_data_laws.py).
    """

    classes: tuple[str, ...]
    repeatable = True

    def __init__(
        self,
        split: str,
        crop_size: int,
        margin: int,
        classes: Sequence[str],
        labels: Sequence[int],
        *,
        workers: int = 0,
        memory: int = 512,
        **cutting: Any,
    ) -> None:
        super().__init__(check_choice("split", split, SPLITS), crop_size, margin)
        check_at_least("workers", workers, 0)
        check_at_least("memory", memory, 0)
        if not len(labels):
            fail("split", "one with pictures", f"none in {split!r}")
        self.classes, self.num_classes = tuple(classes), len(classes)
        self.labels = torch.tensor(labels, dtype=torch.long)
        self.cutter = WindowCutter(crop_size, margin, split in TRAINED, **cutting)
        self.in_chans = self.cutter.in_chans
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
        check_generator("generator", generator)
        rounds = -(-count // len(self))
        orders = [torch.randperm(len(self), generator=generator) for _ in range(rounds)]
        draws = torch.rand(count, 3, generator=generator)
        return self._batch(torch.cat(orders)[:count].tolist(), draws.tolist())

    def epoch_batch(
        self,
        count: int,
        seed: int,
        step: int,
        rank: int = 0,
        world: int = 1,
        repeats: int = 1,
    ) -> dict[str, Any]:
        """See `EpochSource.epoch_batch`.

        Args:
            count, seed, step, rank, world: see there.
            repeats: how often a picture comes in an epoch (`wavevit.data.epochs.batch_places`).
        """
        part = check_ranks(count, rank, world)
        check_at_least("repeats", repeats, 1)
        draws = torch.rand(count, 3, generator=step_generator(seed, step))[part]
        places = batch_places(count, step, len(self), repeats)[part]
        chosen = [int(self._order(seed, epoch)[place]) for epoch, place in places]
        return self._batch(chosen, draws.tolist())

    def normalized(self, crops: Tensor) -> Tensor:
        """Crops normalised by themselves, unless mean and std are given ones."""
        return self.cutter.normalized_crops(crops)

    def state(self) -> dict[str, Any]:
        return {"unreadable": dict(self.unreadable)} if self.unreadable else {}

    def load_state(self, state: dict[str, Any]) -> None:
        self.unreadable = dict(state.get("unreadable", {}))

    def report(self) -> dict[str, Any]:
        """Number of pictures, and how many could not be read, with the first names."""
        return {"pictures": len(self)} | unreadable_report(self.unreadable)

    def _order(self, seed: int, epoch: int) -> Tensor:
        if (seed, epoch) not in self._orders:
            if len(self._orders) > 1:  # a batch is in two epochs at most, unless they are tiny
                self._orders.clear()
            self._orders[seed, epoch] = epoch_order(len(self), seed, epoch)
        return self._orders[seed, epoch]

    def _batch(self, chosen: list[int], draws: list[list[float]]) -> dict[str, Any]:
        if self._pool is None:
            found = [self._window(*one) for one in zip(chosen, draws, strict=True)]
        else:
            found = list(self._pool.map(self._window, chosen, draws))
        images = self.cutter.normalized(torch.stack([window for window, _ in found]))
        labels = self.labels[torch.tensor([index for _, index in found], dtype=torch.long)]
        return {"images": images, "labels": labels}

    def _window(self, index: int, draw: list[float]) -> tuple[Tensor, int]:
        """The window of a picture, or of the next one that can be read, and which one it is of."""
        for _ in range(_MOST_IN_A_ROW):
            try:
                return self.cutter.cut(self._pixels(index), draw), index
            except UnreadablePictureError as error:
                self.unreadable[self.name(index)] = error.reason
                last, index = error, (index + 1) % len(self)
        raise last

    def _pixels(self, index: int) -> Tensor:
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        pixels = self.cutter.sized(self.cutter.channels(self.read(index)))
        size = pixels.untyped_storage().nbytes()
        # Repeats of a picture may be read at the same time: the first one counts.
        if size <= self._room and self._kept.setdefault(index, pixels) is pixels:
            self._room -= size
        return pixels
