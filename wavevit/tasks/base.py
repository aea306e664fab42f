"""`Task`: a backbone with a head and a loss, trained and measured by one loop for all tasks.

A batch is a dict: tensors with the examples on their first axis, or lists with one entry for each
example. Images are under ``"images"``, (B, C, H, W), floating point.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_generator, check_image, fail
from wavevit.layers.blocks import Block
from wavevit.layers.options import PartOptions
from wavevit.models import Backbone
from wavevit.tasks.draws import seeded

__all__ = [
    "Batch",
    "Losses",
    "NoTaskOptions",
    "Results",
    "Task",
    "TaskOptions",
    "check_entries",
    "entry",
]

Batch = Mapping[str, Any]
Results = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class TaskOptions(PartOptions):
    """Base class of the options of one task: a frozen dataclass; all fields have defaults."""


@dataclasses.dataclass(frozen=True)
class NoTaskOptions(TaskOptions):
    """Options of a task without options."""


class Losses(NamedTuple):
    """Loss of a batch: a tuple, so that data-parallel wrappers find the tensors in it.

    Attributes:
        parts: terms of the loss by name, scalars with gradients; their sum is minimised.
        report: further scalars for people, without gradients (an accuracy, a temperature).
    """

    parts: dict[str, Tensor]
    report: dict[str, Tensor]

    @property
    def total(self) -> Tensor:
        """The sum of the parts."""
        return torch.stack(list(self.parts.values())).sum()


def check_entries(argument: str, given: Any, *keys: str) -> None:
    """Checks that something is a dict with these entries: a batch, or what a task found.

    Raises:
        ValueError: no dict, or one without an entry; the message lists what it has.
    """
    if not isinstance(given, Mapping):
        wanted = f" with {', '.join(map(repr, keys))}" if keys else ""
        fail(argument, f"a dict{wanted}", type(given).__name__)
    for key in keys:
        if key not in given:
            got = f"a dict with {', '.join(map(repr, given)) or 'none'}"
            fail(f"{argument}[{key!r}]", "an entry", got)


def entry(batch: Any, key: str) -> Any:
    """What a batch has under a key.

    Raises:
        ValueError: a batch that is no dict, or one without the entry.
    """
    check_entries("batch", batch, key)
    return batch[key]


class Task(nn.Module):
    """Base class of tasks.

    A task is one class in one file. It registers its name with `register_task`, reads its own
    `Options`, adds its head to a backbone, and says what is minimised (`loss`), what is answered
    (`predict`) and how good the answer is (`evaluate`, `summarize`).

    Args:
        backbone: made from a configuration or by a user; the task keeps it as ``self.backbone``.
        options: an instance of the class's `Options`.

    Attributes:
        Options: frozen dataclass of the task's options.
        keys: the entries of a batch that the task reads, beside ``"images"``.
        source: name of the data source that the studies use when none is named.
        score: the entry of `summarize` that is shown when a run ends.
        title: heading of that score in tables, with its unit.
        higher_is_better: whether a larger score is better.
        columns: what tables of studies show: entries of `summarize`, or ``"NAME at 1 px"`` of
            `compare`; empty for all.
        reduction: how the loss is put together from examples. ``"mean"``: a mean over examples, so
            that the losses of equal parts of a batch average to that of the batch. ``"ranks"``: it
            compares or counts all examples, and does so over all ranks of a process group.
            ``"whole"``: it does so inside one process only.

    Guarantees:
        The checks of `wavevit.testing.assert_task_contract`, for every registered task and six
        backbones (tests/contract/test_tasks.py).
    """

    Options: ClassVar[type[TaskOptions]] = NoTaskOptions
    keys: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = "scenes"
    score: ClassVar[str]
    title: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ()
    reduction: ClassVar[str] = "mean"

    def __init__(self, backbone: Backbone, options: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.options = options

    @classmethod
    def build(cls, backbone: Backbone, options: Any) -> Self:
        """The task on a backbone."""
        return cls(backbone, options)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """`loss`, as the call that DistributedDataParallel and `fully_shard` wrap."""
        check_generator("generator", generator)
        return self.loss(batch, generator)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """The loss of a batch.

        Args:
            batch: see the class; `check` is called first.
            generator: source of what the loss draws (masks, noise, times), on the CPU; None for
                torch's global generator. What it draws for each example it draws through
                `draw_examples`, so that parts of a batch get the same.

        Raises:
            ValueError: a batch that `check` refuses.
        """
        raise NotImplementedError

    def predict(self, batch: Batch) -> Results:
        """Answers for a batch: tensors or lists with one entry for each example."""
        raise NotImplementedError

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """Metrics of each example of a batch, to be put together by `summarize`.

        Args:
            batch: as in `loss`.
            generator: source of what is drawn, on the CPU.

        Returns:
            Tensors (B, …) or lists of length B.
        """
        raise NotImplementedError

    def summarize(self, results: Results) -> dict[str, float]:
        """Metrics of a data set from those of all its examples.

        Args:
            results: what `evaluate` gave, batches joined (`wavevit.tasks.joined`).

        Returns:
            By name; the mean of every entry of shape (N,) unless a task says otherwise.

        Raises:
            ValueError: no dict, or one without an entry that the task reads.
        """
        check_entries("results", results)
        return {
            name: float(value.detach().double().mean())
            for name, value in results.items()
            if isinstance(value, Tensor) and value.ndim == 1
        }

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """How answers change when the crop moves, for each example.

        Args:
            first: what `predict` gave for a crop.
            second: what it gave for the crop that starts `shift` pixels (down, right) of it.
            shift: in pixels.

        Returns:
            By name, (B,); empty for a task whose answers cannot be compared so.

        Raises:
            ValueError: no dict, or one without an entry that the task reads.
        """
        check_entries("first", first)
        check_entries("second", second)
        return {}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        """A random batch that the task can use, for tests and for measuring time.

        Args:
            count: number of examples.
            generator: its state decides what is drawn; None for seed 0.
        """
        raise NotImplementedError

    def check(self, batch: Batch) -> None:
        """Checks that the task can use a batch, before any computation.

        Raises:
            ValueError: names the entry, what was expected and what came.
        """
        for key in self.keys:
            entry(batch, key)
        images = entry(batch, "images")
        check_image(images, "batch['images']", channels=self.backbone.in_chans)
        if not len(images):  # a mean over no examples would be NaN
            fail("batch['images']", "at least one image", f"shape {tuple(images.shape)}")
        # One pass over the pixels; a NaN would otherwise be seen only in the loss, steps later.
        if not torch.isfinite(images).all():
            fail("batch['images']", "finite pixels", "NaN or infinity")
        for key in self.keys:
            if isinstance(batch[key], Tensor | Sequence) and len(batch[key]) != len(images):
                expected = f"{len(images)} entries, one for each image"
                fail(f"batch[{key!r}]", expected, len(batch[key]))

    def dummy_images(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """White noise (count, C, H, W) in the size of the backbone's configuration."""
        check_at_least("count", count, 1)
        generator = seeded(generator)
        shape = (count, self.backbone.in_chans, *self.backbone.config.image_size)
        return torch.randn(shape, generator=generator).to(next(self.parameters()))

    def trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that the optimiser trains, by name."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay, in addition to biases and norms."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()}

    @classmethod
    def about(cls) -> str:
        """What the metrics mean, for reports: from the docstrings of `summarize` and `compare`."""
        texts = (inspect.getdoc(cls.summarize) or "", inspect.getdoc(cls.compare) or "")
        parts = [part for text in texts for part in text.split("\n\n")]
        kept = [part for part in parts if not part.startswith(("Args:", "Raises:"))]
        return " ".join(" ".join(kept).replace("Returns:", "").replace("`", "").split())

    def network(self) -> nn.Module:
        """The module whose weights a finished run keeps: the task with its head."""
        return self

    def fsdp_units(self) -> list[nn.Module]:
        """Modules that `fully_shard` shards one by one, inner ones first; disjoint."""
        return [module for module in self.backbone.modules() if isinstance(module, Block)]
