"""`hf_stream`: pictures with classes from a stream of Hugging Face `datasets`.

A stream is read from front to back. Its examples are shuffled in blocks: a block is read, brought
into an order that follows from seed, epoch and block, and given out. The state of a source is the
place where the block began and how much of it is given out, so that a run resumes with the very
example that would have come. (The shuffle buffer of `datasets` loses the examples that are in it.)
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavevit.checks import check_at_least, check_choice, check_generator, fail
from wavevit.data.epochs import EpochSource, check_ranks, epoch_order, step_generator
from wavevit.data.hub_reading import class_names, hub_columns, open_hub, read_example, split_names
from wavevit.data.labelled import TRAINED, unreadable_report
from wavevit.data.picture_files import UnreadablePictureError
from wavevit.data.scenes import SPLITS
from wavevit.data.sources import register_source
from wavevit.data.windows import WindowCutter

__all__ = ["HubStream", "StreamOrderWarning"]

_MOST_BLOCKS = 2**20  # of an epoch, for the seeds of their orders


class StreamOrderWarning(UserWarning):
    """Warns of a stream whose first examples are of few of its classes."""


@register_source("hf_stream")
class HubStream(EpochSource):
    """Pictures of a data set on the Hub, or in parquet files or folders, read while training.

    Each rank reads its own examples: whole files where the number of ranks divides that of the
    files, otherwise every n-th example of n ranks. Training examples follow each other in the
    stream; every rank begins its next epoch when it has seen all of its own.

    The data set needs a part for each split that is asked for: ``"fit"`` is the training part
    where there are parts for validation and test.

    Args:
        split, crop_size, margin: see `Source`.
        path, name, revision, image, label, train, test, validation: see `HubPictures`.
        classes: number of classes, where the data set declares none.
        block: examples that are shuffled together, undecoded in memory.
        **cutting: ``color``, ``short_side`` and the others of `WindowCutter`.

    Raises:
        ImportError: `datasets` is missing (extra ``datasets``).
        ValueError: a data set that cannot be opened, or parts, columns or classes that it lacks.

    Guarantees:
        Ranks together see every example of an epoch once; a run that is resumed, also twice, sees
        what an uninterrupted one sees (tests/unit/test_data_hub.py).
    """

    streamed = True

    def __init__(
        self,
        split: str,
        crop_size: int = 64,
        margin: int = 0,
        path: str | Path | None = None,
        name: str | None = None,
        revision: str | None = None,
        image: str = "",
        label: str = "",
        train: str = "",
        test: str = "",
        validation: str = "",
        classes: int = 0,
        block: int = 1024,
        **cutting: Any,
    ) -> None:
        super().__init__(check_choice("split", split, SPLITS), crop_size, margin)
        self.block = check_at_least("block", block, 1)
        parts = open_hub(path, name, revision, streaming=True)
        found = split_names(parts, train=train, test=test, validation=validation)
        part = found["train" if split in TRAINED else split]
        if not part or (split == "fit" and not found["validation"]):
            role = "validation" if split == "fit" else split
            fail("path", f"a data set with a part for {role!r}", f"one with {sorted(parts)}")
        data = parts[part]
        features = data.features or parts[found["train"]].features
        self.columns = hub_columns(features, image, label)
        self.classes = class_names(features[self.columns.label])
        if not self.classes:
            self.classes = tuple(map(str, range(check_at_least("classes", classes, 1))))
        self.num_classes, self.part = len(self.classes), part
        self.cutter = WindowCutter(crop_size, margin, split in TRAINED, **cutting)
        self.in_chans = self.cutter.in_chans
        self.unreadable: dict[str, str] = {}
        decoded = features[self.columns.image]
        self._data = data.cast_column(self.columns.image, type(decoded)(decode=False))
        self._examples: Iterator[dict[str, Any]] | None = None
        self._step = self._epoch = self._number = self._given = 0
        self._start: dict[str, Any] | None = None  # of the block
        self._ranks = (0, 1)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        """The first examples of the stream, at least a block of them, in a random order.

        Warns:
            StreamOrderWarning: they are of few of the classes, as in a part that is sorted by
                class: what is measured on them says nothing of the others.
        """
        check_generator("generator", generator)
        first = list(self._data.take(max(check_at_least("count", count, 1), self.block)))
        self._check_order(first)
        order = torch.randperm(len(first), generator=generator).tolist()
        draws = torch.rand(count, 3, generator=generator).tolist()
        examples = itertools.cycle([first[index] for index in order])
        return self._batch(examples, draws, count + 2 * len(first))

    def _check_order(self, first: list[dict[str, Any]]) -> None:
        """Warns of examples whose classes are fewer than half of those of as many random ones."""
        labels = [one[self.columns.label] for one in first]
        labels = [label for label in labels if label >= 0]  # -1: the part is published without them
        seen, classes = len(set(labels)), len(self.classes)
        if seen < classes * (1 - (1 - 1 / classes) ** len(labels)) / 2:
            warnings.warn(
                f"the first {len(labels)} examples of the part {self.part!r} have {seen} of "
                f"{classes} classes; it seems to be sorted, or to have few of most classes. For "
                "measures of all classes use the source 'hf', a larger block, or a part in random "
                "order",
                StreamOrderWarning,
                stacklevel=3,
            )

    def epoch_batch(
        self, count: int, seed: int, step: int, rank: int = 0, world: int = 1
    ) -> dict[str, Any]:
        """See `EpochSource.epoch_batch`; steps come one after the other."""
        part = check_ranks(count, rank, world)
        if step != self._step:
            fail("step", f"{self._step}, the next one of the stream", step)
        if self._examples is None:
            self._ranks = (rank, world)
            self._examples = self._shuffled(seed)
        elif self._ranks != (rank, world):
            fail("rank, world", f"{self._ranks}, with which the stream began", (rank, world))
        draws = torch.rand(count, 3, generator=step_generator(seed, step))[part].tolist()
        batch = self._batch(self._examples, draws, len(draws) + 10 * self.block)
        self._step += 1
        return batch

    def normalized(self, crops: torch.Tensor) -> torch.Tensor:
        return self.cutter.normalized_crops(crops)

    def state(self) -> dict[str, Any]:
        return {
            **{"step": self._step, "epoch": self._epoch, "block": self._number},
            **{"given": self._given, "stream": self._start, "unreadable": dict(self.unreadable)},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self._examples = None
        self._step, self._epoch = state["step"], state["epoch"]
        self._number, self._given, self._start = state["block"], state["given"], state["stream"]
        self.unreadable = dict(state["unreadable"])

    def report(self) -> dict[str, Any]:
        """Part and epochs that were begun, and how many pictures could not be read."""
        return {"part": self.part, "epochs": self._epoch + 1} | unreadable_report(self.unreadable)

    def _shuffled(self, seed: int) -> Iterator[dict[str, Any]]:
        """Examples without end, from where the state is."""
        from datasets.distributed import split_dataset_by_node

        while True:
            stream = split_dataset_by_node(self._data, *self._ranks)
            stream.set_epoch(self._epoch)
            if self._start is not None:
                stream.load_state_dict(self._start)
            examples: Iterator[dict[str, Any]] = iter(stream)
            seen = self._start is not None
            while block := self._read(examples):
                seen = True
                number = self._epoch * _MOST_BLOCKS + self._number
                order = epoch_order(len(block), seed, number).tolist()
                while self._given < len(block):
                    self._given += 1
                    yield block[order[self._given - 1]]
                self._start, self._given = stream.state_dict(), 0
                self._number += 1
            if not seen:
                fail("path", f"examples for rank {self._ranks[0]}", f"none in {self.part!r}")
            self._epoch, self._number, self._start = self._epoch + 1, 0, None

    def _read(self, examples: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
        """The next block; empty at the end of the epoch."""
        return list(itertools.islice(examples, self.block))

    def _batch(
        self, examples: Iterator[dict[str, Any]], draws: list[list[float]], most: int
    ) -> dict[str, Any]:
        windows: list[Tensor] = []
        labels: list[int] = []
        for example in itertools.islice(examples, most):
            picture = example[self.columns.image]
            name = f"{self.part}/{(picture or {}).get('path') or f'epoch {self._epoch}'}"
            try:
                pixels = self.cutter.channels(read_example(picture, name))
            except UnreadablePictureError as error:
                self.unreadable[name] = error.reason
                continue
            windows.append(self.cutter.cut(pixels, draws[len(windows)]))
            labels.append(int(example[self.columns.label]))
            if len(windows) == len(draws):
                images = self.cutter.normalized(torch.stack(windows))
                return {"images": images, "labels": torch.tensor(labels, dtype=torch.long)}
        fail("path", "pictures that can be read", f"{len(windows)} among {most}")
