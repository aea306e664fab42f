"""Training batches of a run, by the seed of a step or by the step itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.augmentation import AUGMENTATION_MARGIN, TrainingCrops, augmentation
from experiments.core.config import DataConfig, RunConfig
from experiments.core.distributed import of_all_ranks
from experiments.core.records import read_json, write_json
from experiments.core.sources import check_repeats, make_source, source_name
from wavevit.checks import check_at_least, fail
from wavevit.data import EpochSource, Source
from wavevit.tasks import sliced

__all__ = [
    "EpochBatches",
    "TrainingBatches",
    "data_report",
    "make_source",
    "on_device",
    "rank_slice",
    "source_name",
    "training_batches",
]

_REPORT = "data.json"


def on_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on a device, those in lists included."""

    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        if isinstance(value, list):
            return [moved(item) for item in value]
        return value

    return {name: moved(value) for name, value in batch.items()}


def rank_slice(batch: Mapping[str, Any], rank: int, world: int) -> dict[str, Any]:
    """The examples of one rank: a contiguous part of the global batch, in the same order.

    All ranks draw the same global batch from (seed, step) and each takes its part. So the crops of
    a step are the same on any number of ranks, and the parts put together are the global batch.

    Args:
        batch: tensors (B, …) or lists of length B, by name.
        rank: of this process, from 0.
        world: number of processes.

    Raises:
        ValueError: a rank outside the world, or a batch that the ranks cannot share equally (the
            mean over ranks would not be the mean over examples).
    """
    check_at_least("world", world, 1)
    if not 0 <= rank < world:
        fail("rank", f"a number from 0 to {world - 1}", rank)
    sizes = {name: len(value) for name, value in batch.items()}
    for name, size in sizes.items():
        if size % world or size != next(iter(sizes.values())):
            expected = f"as many examples under each name, a multiple of {world} (ranks)"
            fail(f"batch[{name!r}]", expected, size)
    own = next(iter(sizes.values()), 0) // world
    return sliced(batch, rank * own, (rank + 1) * own)


class TrainingBatches:
    """Training batches that follow from the seed of their step.

    Args:
        source: what the record says about the data.
        draw: from a count and a seed to a batch on the device.
        rank: of this process: it gets its part of each batch.
        world: number of processes.
    """

    def __init__(
        self,
        source: Source,
        draw: Callable[[int, int], dict[str, Any]],
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.source, self.draw, self.rank, self.world = source, draw, rank, world

    def __call__(self, count: int, seed: int, step: int | None = None) -> dict[str, Any]:
        """The batch of a step; sets torch's global seed.

        Args:
            count: examples of all ranks together.
            seed: of the step.
            step: from 0; needed where the source is read in epochs.
        """
        torch.manual_seed(seed)  # for the augmentation, and for whatever in the model draws
        batch = self.draw(count, seed)
        return batch if self.world == 1 else rank_slice(batch, self.rank, self.world)

    def save(self, folder: Path, step: int) -> None:
        """Writes what a checkpoint after `step` steps needs beside it; call it before the
        checkpoint is written.

        Args:
            folder: of the run.
            step: steps done.
        """

    def resume(self, folder: Path, step: int) -> None:
        """Continues after `step` steps with what `save` wrote.

        Args:
            folder: of the run.
            step: steps done; 0 for a new run.
        """

    def finish(self, folder: Path) -> None:
        """Removes what `save` wrote, when the run is trained.

        Args:
            folder: of the run.
        """

    def report(self, folder: Path) -> None:
        """Writes what the record says about the data, where the source says something.

        Args:
            folder: of the run.
        """
        report = self.source.report()
        if report and self.rank == 0:
            write_json(folder / _REPORT, report)


class EpochBatches(TrainingBatches):
    """Training batches of a source that is read in epochs.

    The batch of the next step is read in a thread while the model trains. Beside a checkpoint
    there is a file ``data-rankN.json`` for each rank with the state of its source, if it has one:
    how far a stream was read, which files were unreadable.

    Args:
        source: read in epochs; its windows have the margin of the augmentation, if there is one.
        config: of the run.
        device: where batches are.
        rank: of this process: it reads its part of each batch.
        world: number of processes.
        augment: from windows to crops, on the device.
    """

    def __init__(
        self,
        source: EpochSource,
        config: RunConfig,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        augment: nn.Module | None = None,
    ) -> None:
        super().__init__(source, self._drawn, rank, world)
        self.epochs, self.seed, self.steps = source, config.seed, config.optimizer.steps
        self.device, self.augment = device, augment
        # Sources that cannot repeat do not know the argument (`training_batches` refuses them).
        repeats = config.data.repeats
        self._options = {"repeats": repeats} if repeats > 1 else {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: dict[tuple[int, int], Future[tuple[dict[str, Any], dict[str, Any]]]] = {}
        self._state: dict[str, Any] = source.state()

    def __call__(self, count: int, seed: int, step: int | None = None) -> dict[str, Any]:
        """See `TrainingBatches`. Without a step it gives random examples of the seed."""
        if step is None:
            return super().__call__(count, seed)
        torch.manual_seed(seed)  # for the augmentation, and for whatever in the model draws
        ahead = self._ahead.pop((count, step), None)
        if ahead is None:
            self._forget()
            ahead = self._thread.submit(self._read, count, step)
        windows, self._state = ahead.result()
        if step + 1 < self.steps:
            self._ahead[count, step + 1] = self._thread.submit(self._read, count, step + 1)
        return self._prepared(windows, shared=True)

    def report(self, folder: Path) -> None:
        """See `TrainingBatches`; unreadable files are those of all ranks."""
        own: dict[str, str] | None = getattr(self.epochs, "unreadable", None)
        if own is not None:
            for others in of_all_ranks(dict(own)):
                own.update(others)
        super().report(folder)

    def save(self, folder: Path, step: int) -> None:
        if not self._state:
            return
        file = self._file(folder)
        # With that of the checkpoint before: the one to come may never be written.
        held = read_json(file)["states"].items() if file.exists() else ()
        before = [(name, state) for name, state in held if int(name) < step][-1:]
        states = dict([*before, (str(step), self._state)])
        write_json(file, {"world": self.world, "states": states})

    def resume(self, folder: Path, step: int) -> None:
        """See `TrainingBatches`.

        Raises:
            ValueError: a stream that was read by another number of ranks, or whose state is lost.
        """
        if not step:
            return
        self._forget()
        file = self._file(folder)
        held: Any = read_json(file) if file.exists() else {"world": self.world, "states": {}}
        if self.epochs.streamed:
            if held["world"] != self.world:
                fail("world", f"{held['world']} ranks, with which the stream began", self.world)
            if str(step) not in held["states"]:
                fail("folder", f"the state of the stream after step {step}", f"none in {file}")
        self._state = held["states"].get(str(step), {})
        self.epochs.load_state(self._state)

    def finish(self, folder: Path) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._file(folder).unlink(missing_ok=True)

    def _file(self, folder: Path) -> Path:
        return folder / f"data-rank{self.rank}.json"

    def _forget(self) -> None:
        """Drops what was read ahead for another step."""
        for future in self._ahead.values():
            if not future.cancel():
                future.exception()  # it reads already: wait, since the source is not to be shared
        self._ahead.clear()

    def _read(self, count: int, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
        ranks = (self.rank, self.world)
        windows = self.epochs.epoch_batch(count, self.seed, step, *ranks, **self._options)
        return windows, self.epochs.state()

    def _drawn(self, count: int, seed: int) -> dict[str, Any]:
        windows = self.epochs.sample(count, torch.Generator().manual_seed(seed))
        return self._prepared(windows, shared=False)

    def _prepared(self, windows: dict[str, Any], shared: bool) -> dict[str, Any]:
        """Crops on the device, augmented.

        Args:
            windows: of this rank's part of a batch, or of all of it.
            shared: whether they are a part.
        """
        if self.augment is None:
            return on_device(self.epochs.crop(windows), self.device)
        batch = on_device(windows, self.device)
        images = batch["images"]
        rank, world = (self.rank, self.world) if shared else (0, 1)
        own = slice(rank * len(images), (rank + 1) * len(images))
        # The augmentation draws for the examples of all ranks, and each takes its own draws: an
        # example is changed alike on any number of ranks. It costs the augmentation of all of them.
        augmented = self.augment(images.repeat(world, 1, 1, 1))[own]
        return {**batch, "images": self.epochs.normalized(augmented)}


def training_batches(
    config: RunConfig, device: torch.device, rank: int = 0, world: int = 1
) -> TrainingBatches:
    """What gives a batch on the device from a count, a seed and a step.

    Args:
        config: of the run.
        device: where batches are.
        rank: of this process: it gets its part of each batch, and reads no other pictures.
        world: number of processes.

    Raises:
        ValueError: places, an augmentation or repeats with a source that has none.
    """
    data: DataConfig = config.data
    name = source_name(config)
    check_repeats(config)
    if name == "scenes":
        crops = TrainingCrops(data, device)

        def crop_batch(count: int, seed: int) -> dict[str, Any]:
            images, labels = crops.batch(count, seed)
            return {"images": images, "labels": labels}

        return TrainingBatches(make_source(config, data.trained_on, 0), crop_batch, rank, world)
    margin = AUGMENTATION_MARGIN if data.augmentation else 0
    source = make_source(config, data.trained_on, margin)
    epochs = source if isinstance(source, EpochSource) else None
    if data.places or (data.augmentation and epochs is None):
        given = f"places={data.places}, augmentation={data.augmentation}"
        fail("data", f"no places and no augmentation for {name!r}", given)
    if epochs is not None:
        augment = augmentation(data) if data.augmentation else None
        return EpochBatches(epochs, config, device, rank, world, augment)

    def batch(count: int, seed: int) -> dict[str, Any]:
        windows = source.sample(count, torch.Generator().manual_seed(seed))
        return on_device(source.crop(windows), device)

    return TrainingBatches(source, batch, rank, world)


def data_report(folder: Path) -> dict[str, Any]:
    """What the record of a run says about its data, as ``{"data": …}``; empty if nothing.

    Args:
        folder: of the run.
    """
    file = folder / _REPORT
    return {"data": read_json(file)} if file.exists() else {}
