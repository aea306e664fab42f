"""Times reading pictures against training on them: ``python -m experiments bench loading``.

Question: do decoding, cropping and augmentation keep up with a training step? JPEG files of 500 x
375 pixels are written to a temporary folder, which the source ``folder`` reads: grey crops of 64
pixels for the studies' plain ViT, colour crops of 224 pixels (random squares, resized) for ViT-S.
The first are augmented as in study `carry`, the others as in the DeiT III recipe. Every reader, the
augmentation and the training step give one batch a round, in turning order; a figure is the median
of images per second, a multiple the median of the ratios within a round. Files are in the page
cache: this is the time of decoding, not of a disk. In training the next batch is read in a thread
beside the step, so a multiple above 1 on a core of its own starves no model.
Record: experiments/records/latency/loading.json.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.benchmarks.interleaved import clocked, multiples, threads_of_torch, times
from experiments.benchmarks.training_steps import training_step
from experiments.core.augmentation import AUGMENTATION_MARGIN, augmentation
from experiments.core.benchmark import Benchmark, BenchmarkOptions
from experiments.core.config import AUGMENTATIONS, DataConfig
from experiments.core.experiment import View
from experiments.core.recipes import AUGMENTATION as DEIT_III
from experiments.core.records import RECORDS, environment
from experiments.core.table import Table
from experiments.studies.tokenizers import TOKENIZERS
from wavevit.data import FolderPictures
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.models import Backbone, create_model
from wavevit.progress import in_steps

_SIDES = (375, 500)
_STEP = "training step"


@dataclass(frozen=True)
class Case:
    """A model and the crops that it is trained on.

    Attributes:
        model: its builder; takes nothing.
        crop_size: in pixels.
        batch: crops a step.
        options: of the source ``folder``.
        augmentation: of its crops (`experiments.core.augmentation`).
    """

    model: Callable[[], nn.Module]
    crop_size: int
    batch: int
    options: Mapping[str, Any]
    augmentation: tuple[str, ...]


CASES = {
    "plain ViT, 64 px, grey": Case(
        partial(Backbone, TOKENIZERS.configs()["vit"].model),
        64,
        64,
        {"short_side": 128},
        AUGMENTATIONS,
    ),
    "ViT-S, 224 px, colour": Case(
        partial(create_model, "vit_small_patch16", num_classes=len(NAMES)),
        224,
        8,
        {"color": True, "scale": (0.35, 1.0)},
        DEIT_III,
    ),
}


@dataclass
class Options(BenchmarkOptions):
    """Images per second of reading and cropping, beside a training step."""

    quick: bool = False
    """One round of small batches: to see that it runs, not to quote."""
    workers: tuple[int, ...] = (0, 2)
    """Numbers of threads that read pictures."""
    pictures: int = 8
    """Pictures of each of the 18 classes."""
    rounds: int = 9
    """Rounds of each case."""
    budget: float = 60.0
    """Seconds of a case after which no new round begins, once there are three."""


def write_pictures(folder: Path, each: int) -> None:
    """Writes JPEG files of 500 x 375 pixels, cut from the bundled photographs, a folder a class.

    Args:
        folder: where.
        each: number of files of each class.
    """
    from PIL import Image  # of the extra that the photographs need too

    generator = torch.Generator().manual_seed(0)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        photograph = load_photograph(name, 512, color=True)
        for index in range(each):
            share = 0.5 + 0.5 * float(torch.rand((), generator=generator))
            height, width = (max(int(share * side), 2) for side in photograph.shape[1:])
            part = photograph[None, :, :height, -width:]
            pixels = F.interpolate(part, _SIDES, mode="bilinear", antialias=True)[0]
            values = (pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(values).save(folder / name / f"{index}.jpg", quality=90)


def benchmark(options: Options, cases: Mapping[str, Case] = CASES) -> dict[str, Any]:
    """Measures every case.

    Args:
        options: of the command line.
        cases: by name.

    Returns:
        The record: by case and contender ``images_per_second`` and ``times_step``.
    """
    rounds, each = (1, 2) if options.quick else (options.rounds, options.pictures)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place, threads_of_torch(1):
        folder = Path(place)
        write_pictures(folder, each)
        for name in in_steps(cases):
            case = cases[name]
            batch = min(case.batch, 4) if options.quick else case.batch
            contenders = {_STEP: clocked(_step(case, batch))}
            for workers in options.workers:
                said = "1 thread" if workers == 0 else f"pool of {workers} threads"
                contenders[f"read, {said}"] = clocked(_reading(folder, case, batch, workers, 0))
            contenders["read again, kept in memory"] = clocked(
                _reading(folder, case, batch, 0, 1024)
            )
            words = f"augmentation ({', '.join(case.augmentation)})"
            contenders[words] = clocked(_augmenting(case, batch))
            seconds = times(contenders, rounds, options.budget)
            ratios = multiples(seconds, _STEP)
            found[name] = {
                one: {
                    "images_per_second": round(batch / median(own), 1),
                    "times_step": round(1 / ratios[one], 2),
                }
                for one, own in seconds.items()
            }
    return {"cases": found, "environment": environment(torch.device("cpu"), 1, ("pillow",))}


def _reading(folder: Path, case: Case, batch: int, workers: int, memory: int) -> Callable[[], Any]:
    """Reads the batch of the next step; with memory, of pictures that were all read before."""
    size, options = case.crop_size, dict(case.options)
    source = FolderPictures("train", size, path=folder, workers=workers, memory=memory, **options)
    if memory:
        source.epoch_batch(len(source), 0, 0)
    steps = count()
    return lambda: source.crop(source.epoch_batch(batch, 0, next(steps)))


def _step(case: Case, batch: int) -> Callable[[], Any]:
    """A training step on noise."""
    images = _noise(case, batch, case.crop_size)
    return training_step(case.model(), images, torch.arange(batch) % len(NAMES))


def _augmenting(case: Case, batch: int) -> Callable[[], Any]:
    """Crops out of windows, augmented."""
    change = augmentation(
        DataConfig(
            crop_size=case.crop_size,
            augmentation=case.augmentation,
            source_options=(("mean", 0.5), ("std", 0.25)),
        )
    )
    return partial(change, _noise(case, batch, case.crop_size + 2 * AUGMENTATION_MARGIN))


def _noise(case: Case, batch: int, side: int) -> Tensor:
    channels = 3 if case.options.get("color") else 1
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, channels, side, side, generator=generator)


def table(record: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    rows = [
        [case, one, f"{row['images_per_second']:.0f}", f"{row['times_step']:.2f}"]
        for case, own in record["cases"].items()
        for one, row in own.items()
    ]
    head = ["case", "what", "images/s", "times the training step"]
    return Table(head, rows).markdown() + "\n"


_RECORD = "latency/loading.json"

BENCHMARK = Benchmark(
    name="loading",
    question="Do decoding, cropping and augmentation of pictures keep up with a training step?",
    measure=lambda options, save: benchmark(options),
    records={_RECORD: ""},
    shown=lambda record: (View((RECORDS / record).with_suffix(".md"), table),),
    command_line=Options,
)
