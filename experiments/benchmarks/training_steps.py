"""Times wavelet models beside a plain ViT: ``python -m experiments bench training_steps``.

Question: what does a forward pass or a training step of a wavelet model cost beside a plain ViT?
The models of the studies at 64 px, batches of 32, beside the study's plain ViT, and two models at
224 px, batches of 2, beside theirs: a forward pass without gradients, and a training step (forward,
cross-entropy, backward, AdamW), at several numbers of threads. Every model runs once a round, and a
figure is the median of the ratios within a round: of processor time at one thread, of wall time at
more. This is repeated in new processes, and the record has the median over them, and each. The
processes keep freed memory, as those of the studies do (`experiments.core.kept_memory`); otherwise
small models take up to a quarter longer in some processes and not in others. Memory is what
autograd holds for the backward pass, weights left out; for `scattering2` in images.
Record: experiments/records/latency/training_steps.json. Its column "before" is the same file run in
a checkout of commit bcf572c with ``--out FILE``, given by ``--before FILE``; there the environment
says the same to the C library (MALLOC_TRIM_THRESHOLD_=2147483647 MALLOC_MMAP_MAX_=0).
Time on 2 quiet logical cores of an Intel Xeon: 4 minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.benchmarks.interleaved import clocked, multiples, threads_of_torch, times
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.experiment import View
from experiments.core.process_pool import process_pool
from experiments.core.records import RECORDS, environment, read_json
from experiments.core.table import Table
from experiments.core.timm_models import timm_model
from experiments.studies.alias_free import ALIAS_FREE
from experiments.studies.backbones import BACKBONES
from experiments.studies.tokenizers import TOKENIZERS
from wavevit.checks import check_at_least, fail
from wavevit.models import Backbone, BackboneConfig, create_model
from wavevit.progress import in_steps
from wavevit.wavelets import scattering2

_CLASSES = 10  # of the labels; no study has fewer


@dataclass(frozen=True)
class Case:
    """Models that are compared, at one size.

    Attributes:
        models: builders by name; each takes nothing.
        references: the model that each other one is compared with.
        shape: of the images.
        rounds: of each measurement.
    """

    models: Mapping[str, Callable[[], nn.Module]]
    references: Mapping[str, str]
    shape: tuple[int, int, int, int]
    rounds: int


def _studied() -> dict[str, BackboneConfig]:
    tokenizers, backbones = TOKENIZERS.configs(), BACKBONES.configs()
    models = {"vit": tokenizers["vit"].model}
    models |= {f"{name} tokens": tokenizers[name].model for name in ("dtcwt", "swt", "scattering")}
    models |= {
        name: backbones[name].model for name in ("haar_vit", "haar_pyramid", "dtcwt_pyramid")
    }
    return models | {"alias_free": ALIAS_FREE.configs()["alias_free"].model}


_STUDIED = _studied()
SMALL = Case(
    {name: partial(Backbone, config) for name, config in _STUDIED.items()},
    dict.fromkeys(list(_STUDIED)[1:], "vit"),
    (32, 1, 64, 64),
    rounds=15,
)
_TIMM = "timm vit_small_patch16_224"
LARGE = Case(
    {
        _TIMM: partial(timm_model, "vit_small_patch16_224"),
        "haar_pyramid_small": partial(create_model, "haar_pyramid_small"),
        "vit_small_patch16": partial(create_model, "vit_small_patch16"),
        "dtcwt_vit_small": partial(create_model, "dtcwt_vit_small"),
    },
    {"haar_pyramid_small": _TIMM, "dtcwt_vit_small": "vit_small_patch16"},
    (2, 3, 224, 224),
    rounds=5,
)
# (forward, training step) at most so many times the reference; memory for the last.
TARGETS: dict[str, tuple[float | None, float | None]] = {
    "dtcwt tokens": (1.10, 1.08),
    "swt tokens": (1.08, 1.06),
    "scattering tokens": (1.35, 1.25),
    "haar_vit": (1.03, 1.05),
    "haar_pyramid": (1.15, 1.3),
    "dtcwt_pyramid": (1.2, 1.3),
    "alias_free": (1.4, 1.6),
    "haar_pyramid_small": (0.65, 0.8),
    "dtcwt_vit_small": (None, 1.05),
}


@dataclass
class Options(BenchmarkOptions):
    """Forward passes and training steps of wavelet models beside a plain ViT's."""

    quick: bool = False
    """One round of the small models: to see that it runs, not to quote."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads, each timed on its own."""
    budget: float = 45.0
    """Seconds of a measurement after which no new round begins, once there are three."""
    processes: int = 3
    """Processes that repeat the measurement, one after the other."""
    before: Path | None = None
    """A record of this benchmark from an earlier commit, for the column "before"."""


def benchmark(
    options: Options,
    cases: Iterable[Case] = (SMALL, LARGE),
    save: Save = lambda record: None,
) -> dict[str, Any]:
    """Measures what the options ask for; plain data, ready for JSON.

    Args:
        options: the command line's.
        cases: what is compared.
        save: called with the record so far, after each case.

    Raises:
        ValueError: fewer than one thread or process, a record "before" that is not there.
    """
    for threads in options.threads:
        check_at_least("threads", threads, 1)
    check_at_least("processes", options.processes, 1)
    record: dict[str, Any] = {
        "environment": environment(torch.device("cpu"), max(options.threads), ["timm", "numba"])
    }
    if options.before is not None:
        if not options.before.is_file():
            fail("before", "a record of this benchmark", options.before)
        earlier = read_json(options.before)
        record["before"] = {key: earlier[key] for key in ("models", "scattering2_images")}
    record["scattering2_images"], record["models"] = _scattering_images(), {}
    for case in list(cases)[: 1 if options.quick else None]:
        found = []
        label = f"{case.shape[-1]} px, process {{}}".format
        for _ in in_steps(range(1, 2 if options.quick else options.processes + 1), label):
            with process_pool(1) as fresh:
                found.append(fresh.submit(_measured, case, options).result())
        record["models"] |= {
            name: _over_processes([one[name] for one in found]) for name in found[0]
        }
        save(record)
    return record


def _over_processes(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A model's row: of times the median over processes, and those of each process."""
    row = dict(rows[0])
    for kind in ("forward", "step"):
        each = {threads: [one[kind][threads] for one in rows] for threads in rows[0][kind]}
        row[kind] = {threads: median(ratios) for threads, ratios in each.items()}
        row[f"{kind}_each"] = each
    return row


def _measured(case: Case, options: Options) -> dict[str, dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(case.shape, generator=generator)
    labels = torch.randint(_CLASSES, case.shape[:1], generator=generator)
    built = {}
    for name, build in case.models.items():
        torch.manual_seed(0)
        built[name] = build()
    rounds = 1 if options.quick else case.rounds
    found: dict[str, dict[str, Any]] = {
        name: {"reference": reference, "batch": case.shape[0], "side": case.shape[-1]}
        for name, reference in case.references.items()
    }
    held = {
        name: held_bytes(partial(_loss, model, images, labels)) for name, model in built.items()
    }
    for name, row in found.items():
        row["held"] = round(held[name] / held[row["reference"]], 3)
    kinds = {"forward": _forward, "step": training_step}

    for threads, kind in product(options.threads, kinds):
        with threads_of_torch(threads):
            passes = {
                name: clocked(kinds[kind](model, images, labels), _clock(threads))
                for name, model in built.items()
            }
            seconds = times(passes, rounds, options.budget)
        for name, row in found.items():
            ratio = multiples(seconds, row["reference"])[name]
            row.setdefault(kind, {})[str(threads)] = round(ratio, 3)
    return found


def _clock(threads: int) -> Callable[[], float]:
    # Of one thread the processor's time is the time of a quiet machine, whatever else runs.
    return time.process_time if threads == 1 else time.perf_counter


def _loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    model.train()
    return F.cross_entropy(model(images), labels)


def _forward(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], object]:
    def run() -> object:
        model.eval()
        with torch.no_grad():
            return model(images)

    return run


def training_step(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], object]:
    """A step as a call: forward, cross-entropy, backward, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def run() -> object:
        optimizer.zero_grad()
        _loss(model, images, labels).backward()
        return optimizer.step()

    return run


def held_bytes(compute: Callable[[], Tensor]) -> int:
    """Bytes that autograd holds for the backward pass of `compute`.

    Parameters and their views are left out: a linear map holds its weight transposed.
    """
    held: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        owner = x if x._base is None else x._base
        if not (owner.is_leaf and owner.requires_grad):
            storage = x.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        result = compute()
    total = sum(held.values())
    del result  # until here, so that no memory is given away twice
    return total


def _scattering_images() -> float:
    """Images that `scattering2` holds with a gradient, the image itself left out."""
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    leaf = images.requires_grad_()
    held = held_bytes(lambda: scattering2(leaf))
    return round(held / (images.numel() * images.element_size()), 2)


def tables(record: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    earlier = record.get("before", {"models": {}})
    threads = list(next(iter(record["models"].values()))["forward"])
    head = ["model", "compared with", "side, px"]
    for kind in ("forward", "step"):
        head += [f"{kind} target", f"{kind} before", f"{kind} reached"]
    head += ["memory held before", "memory held reached"]
    rows = []
    for name, row in record["models"].items():
        old = earlier["models"].get(name, {})
        cells = [f"`{name}`", f"`{row['reference']}`", str(row["side"])]
        for kind, target in zip(("forward", "step"), TARGETS.get(name, (None, None)), strict=True):
            cells.append("–" if target is None else f"{target:.2f}")
            cells += [_by_threads(old.get(kind), threads), _by_threads(row[kind], threads)]
        cells += [f"{old['held']:.2f}" if old else "–", f"{row['held']:.2f}"]
        rows.append(cells)
    text = (
        'Times and memory as multiples of those of the model in the column "compared with". '
        f"Threads: {' / '.join(threads)}.\n\n"
    )
    text += Table(head, rows).markdown()
    images = f"{record['scattering2_images']:.1f}"
    if "before" in record:
        images += f", before {earlier['scattering2_images']:.1f}"
    held = "Copies of its images that `scattering2` holds for the gradient, its own not counted"
    return f"{text}\n\n{held}: {images} (target 4).\n"


def _by_threads(ratios: Mapping[str, float] | None, threads: list[str]) -> str:
    if not ratios:
        return "–"
    return " / ".join(f"{ratios[count]:.2f}" if count in ratios else "–" for count in threads)


_RECORD = "latency/training_steps.json"

BENCHMARK = Benchmark(
    name="training_steps",
    question="How much longer is a training step of a wavelet model than a plain ViT's?",
    measure=lambda options, save: benchmark(options, save=save),
    records={_RECORD: ""},
    shown=lambda record: (View((RECORDS / record).with_suffix(".md"), tables),),
    command_line=Options,
)
