"""Configuration of a run: frozen data, written as JSON and read back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from experiments.core.conversion import converter
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.models import BackboneConfig
from wavevit.tasks import TASKS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "AUGMENTATIONS",
    "COLOUR_AUGMENTATIONS",
    "OPTIMIZERS",
    "PRECISIONS",
    "DataConfig",
    "ExecutionConfig",
    "OptimizerConfig",
    "RunConfig",
    "changed",
    "differing_fields",
]

AUGMENTATIONS = ("translate", "resize", "flip")
COLOUR_AUGMENTATIONS = ("three", "jitter")
OPTIMIZERS = ("adamw", "lamb")
PRECISIONS = ("auto", "float32", "bf16")
C = TypeVar("C", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The crops a run sees.

    Attributes:
        crop_size: side in pixels.
        margin: pixels around each test crop for `crop` shifts.
        max_short_side: photographs are reduced to this shorter side.
        test_crops: number of held-out crops for accuracy and consistency.
        measured_crops: number of them for the costlier measures.
        seed: of the held-out crops, the same for all runs of a study.
        held_out: ``"test"``, or ``"validation"`` to choose between designs; the training crops
            are those of ``"train"``, or of ``"fit"``.
        places: training crops come from `places` x `places` fixed places of each photograph; with 0
            from anywhere, which is an augmentation by translation already.
        augmentation: of the training crops, some of ``"translate"``, ``"resize"`` and ``"flip"``,
            and of colours ``"three"`` and ``"jitter"`` (`experiments.core.augmentation`).
        mixup: of pairs of training images: both parameters of the Beta distribution of the share;
            0 for none (`experiments.core.mixing`).
        cutmix: the same for a rectangle of one image in another. With both, a coin decides.
        repeats: how often a picture comes in an epoch, each time augmented anew (repeated
            augmentation); the epoch stays as long, and has a part of the pictures.
        source: name of a data source (`wavevit.data.list_sources`); empty for the task's own.
        source_options: of that source, pairs of name and value; a mapping is taken too.
    """

    crop_size: int = 64
    margin: int = 16
    max_short_side: int = 256
    test_crops: int = 1440
    measured_crops: int = 192
    seed: int = 20_000
    held_out: str = "test"
    places: int = 0
    augmentation: tuple[str, ...] = ()
    mixup: float = 0.0
    cutmix: float = 0.0
    repeats: int = 1
    source: str = ""
    source_options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.source_options, Mapping):
            object.__setattr__(self, "source_options", tuple(self.source_options.items()))
        check_at_least("places", self.places, 0)
        check_at_least("repeats", self.repeats, 1)
        for name in self.augmentation:
            check_choice("augmentation", name, (*AUGMENTATIONS, *COLOUR_AUGMENTATIONS))
        check_choice("held_out", self.held_out, ("test", "validation"))
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < math.inf:
                fail(name, "a number of at least 0", getattr(self, name))

    @property
    def trained_on(self) -> str:
        """The split of the training crops."""
        return "train" if self.held_out == "test" else "fit"


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimiser, with linear warm-up and cosine decay to zero.

    Attributes:
        name: ``"adamw"``, or ``"lamb"`` (You et al. 2020; timm's, extra ``timm``).
        steps: optimiser steps; equal for all variants of a study.
        batch_size: crops per step, of all ranks together.
        lr: peak learning rate.
        warmup_steps: steps of linear warm-up.
        weight_decay: on matrices and kernels; biases, norms and positions have none.
        betas: of Adam.
        clip: largest norm of the gradient.
    """

    name: str = "adamw"
    steps: int = 360
    batch_size: int = 64
    lr: float = 1e-3
    warmup_steps: int = 40
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0

    def __post_init__(self) -> None:
        check_choice("name", self.name, OPTIMIZERS)
        check_at_least("steps", self.steps, 1)
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("warmup_steps", self.warmup_steps, 0)
        if not self.lr > 0:
            fail("lr", "a positive number", self.lr)
        if not self.clip > 0:
            fail("clip", "a positive number", self.clip)


@dataclass(frozen=True, kw_only=True)
class ExecutionConfig:
    """How training steps are computed. By default nothing is on that changes a result.

    Attributes:
        precision: ``"bf16"`` (autocast; weights stay float32), ``"float32"``, or ``"auto"``: the
            first on GPUs that have it, the second elsewhere.
        compile: `torch.compile` each of `Task.fsdp_units`. Results change by rounding.
        accumulate: parts of a batch whose gradients are added one after the other, to save memory.
            For tasks whose loss is a mean over examples (`Task.reduction`). Results change by
            rounding, and stochastic depth and dropout draw other numbers.
        checkpoint_blocks: compute the activations of blocks again in the backward pass, to save
            memory. Results do not change.
        ema: decay of an exponential moving average of the weights; 0 for none.
        ema_use: ``"beside"``: the average is measured beside the weights (``"ema"`` of the
            result); ``"in place"``: it takes the place of the weights when training ends.
    """

    precision: str = "auto"
    compile: bool = False
    accumulate: int = 1
    checkpoint_blocks: bool = False
    ema: float = 0.0
    ema_use: str = "beside"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        check_at_least("accumulate", self.accumulate, 1)
        if not 0 <= self.ema < 1:
            fail("ema", "a number from 0 to below 1", self.ema)
        check_choice("ema_use", self.ema_use, ("beside", "in place"))


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run.

    Attributes:
        model: the backbone.
        data: the crops.
        optimizer: the schedule.
        task: name of a task (`wavevit.tasks.list_tasks`).
        task_options: the task's `Options`, as an instance or a mapping; None for the defaults.
        seed: of the weights, of the training crops and of every random choice in training.
        checkpoint_every: steps between checkpoints; where a killed run resumes. It does not
            change the result.
        execution: precision, compilation, memory, average of the weights.
    """

    model: BackboneConfig
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    task: str = "classification"
    task_options: Any = None
    seed: int = 0
    checkpoint_every: int = 50
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)

    def __post_init__(self) -> None:
        settled = TASKS.options("task_options", TASKS.check("task", self.task), self.task_options)
        # The defaults are None, so that a copy with another task is valid.
        own = None if settled == type(settled)() else settled
        object.__setattr__(self, "task_options", own)
        check_at_least("checkpoint_every", self.checkpoint_every, 1)
        parts, size = self.execution.accumulate, self.optimizer.batch_size
        if size % parts:
            fail("optimizer.batch_size", f"a multiple of {parts} (execution.accumulate)", size)
        if self.data.repeats > 1 and size < 2 * self.data.repeats:
            expected = f"at least {2 * self.data.repeats} (two pictures, data.repeats times each)"
            fail("optimizer.batch_size", expected, size)
        if parts > 1 and TASKS.get(self.task).reduction != "mean":
            expected = f"1 (the loss of {self.task!r} is no mean over examples)"
            fail("execution.accumulate", expected, parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunConfig:
        """The configuration that `to_dict` wrote, through JSON or not.

        Before there were options of tasks, the optimiser had the label smoothing.
        """
        optimizer = dict(data.get("optimizer", {}))
        if "label_smoothing" in optimizer:
            smoothing = optimizer.pop("label_smoothing")
            options = {"label_smoothing": smoothing, **(data.get("task_options") or {})}
            data = {**data, "optimizer": optimizer, "task_options": options}
        return converter.structure(data, cls)


def changed(config: C, fields: Mapping[str, Any]) -> C:
    """A copy of a configuration with some of its fields, and of those inside it, changed.

    Args:
        config: a dataclass, such as `RunConfig`.
        fields: values by dotted path, such as ``{"model.alignment": "blur"}``; all at once.
    """
    own: dict[str, Any] = {path: value for path, value in fields.items() if "." not in path}
    inner: dict[str, dict[str, Any]] = {}
    for path, value in fields.items():
        name, _, rest = path.partition(".")
        if rest:
            inner.setdefault(name, {})[rest] = value
    own |= {name: changed(getattr(config, name), rest) for name, rest in inner.items()}
    return dataclasses.replace(config, **own)


def differing_fields(a: Any, b: Any, prefix: str = "") -> list[str]:
    """Dotted paths at which two configurations (or parts of them) differ."""
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        pairs = [(f.name, getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)]
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        pairs = [(key, a.get(key), b.get(key)) for key in sorted({*a, *b})]
    else:
        return [] if a == b else [prefix]
    found = []
    for name, left, right in pairs:
        found += differing_fields(left, right, f"{prefix}.{name}" if prefix else name)
    return found
