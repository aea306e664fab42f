"""Times adaptive tokens beside uniform grids: ``python -m experiments bench adaptive_time``.

ViT-S with uniform patches of 16 and 32 pixels, and with adaptive ones of 16 to 128 pixels: a budget
of a half and of a quarter of the finest grid, and a fixed share of the detail energy; each with a
soft and with a hard split. Near the threshold a soft split computes both a patch and its parts, so
it computes more tokens than its budget; a further model has the budget with which half of the
tokens are computed, as in the study `adaptive`. Every photograph is reduced to 224, 448 and 896
pixels, so that the scene stays and the details grow, as with a better camera. A round runs every
model once, in turning order; a figure is the median over rounds, a throughput the median of the
ratios within a round. Weights are random: the choice of tokens reads pixels alone, and time does
not depend on weights. At the smallest size the half budget also runs with each backend of
attention. With ``--study`` it times the variants of the study `adaptive` on crops of the study
instead, for top-1 against time.

The photographs must be as large as the largest size: an enlarged one has no details and would need
few tokens. Those that scikit-image contains are not, but for two; the record is made with the
photographs of `experiments.data.gcompris`.

Time on 2 quiet logical cores: 6 minutes; a record is written after each size. Targets, set before
the first run: 1.4 times the throughput of the uniform grid of 16-pixel patches with half of its
tokens at 224 pixels and above; at a fixed share of the energy, time that grows with at most the
power 0.8 of the number of pixels. The model with half of the tokens computed was added later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.interleaved import (
    clocked,
    medians,
    multiples,
    threads_of_torch,
    times,
)
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.experiment import View
from experiments.core.latency import variant_times
from experiments.core.records import RECORDS, environment
from experiments.core.table import Table
from experiments.studies.adaptive import ADAPTIVE, budget_of_computed
from wavevit.checks import check_at_least, fail
from wavevit.data import PhotographFolder, load_photograph_file, scan_photographs
from wavevit.layers.token_layout import BACKENDS
from wavevit.layers.tokenizers.adaptive import AdaptiveOptions
from wavevit.measure import center_crop, growth_exponent
from wavevit.models import Backbone, create_model, token_counts


@dataclass(frozen=True)
class Model:
    """A model that is timed.

    Attributes:
        patch: side of its finest patches in pixels.
        options: of the adaptive tokenizer; None for a uniform grid.
        computed: share of the finest grid's tokens that are computed on average, from which the
            budget follows; None for the budget of the options.
    """

    patch: int = 16
    options: Mapping[str, Any] | None = None
    computed: float | None = None

    def build(self, images: Tensor, small: bool) -> Backbone:
        """For these images; `small` for the size of the tests' models."""
        side = images.shape[-1]
        base, adaptive = ("test_vit", "test_adaptive_vit") if small else _NAMES
        fields: dict[str, Any] = {"img_size": side, "patch_size": self.patch}
        if self.options is not None:
            own = dict(self.options)
            if self.computed is not None:
                wanted = round(self.computed * (side // self.patch) ** 2)
                tokenizer = AdaptiveOptions(**own)
                own["budget"] = budget_of_computed(tokenizer, self.patch, images, wanted)
            fields["tokenizer_options"] = own
        torch.manual_seed(0)
        model = create_model(base if self.options is None else adaptive, **fields).eval()
        assert isinstance(model, Backbone)
        return model


_RECORD, STUDY_RECORD = "latency/adaptive_time.json", "latency/adaptive_study.json"
# Targets, set before the first run.
_THROUGHPUT, _EXPONENT = 1.4, 0.8
_NAMES = ("vit_small_patch16", "adaptive_vit_small")
_HALF, _SHARE = {"budget": 0.5}, {"budget": None, "share": 0.9}
_HARD = {"splitting": "hard"}
REFERENCE, _SOFT_HALF = "patches of 16 px", "half of the tokens, soft"
_SOFT_COMPUTED = "half of the tokens computed, soft"
_SOFT_SHARE = "90 % of the energy, soft"
MODELS: dict[str, Model] = {
    REFERENCE: Model(),
    "patches of 32 px": Model(32),
    _SOFT_HALF: Model(options=_HALF),
    _SOFT_COMPUTED: Model(options=_HALF, computed=0.5),
    "half of the tokens, hard": Model(options={**_HALF, **_HARD}),
    "quarter of the tokens, soft": Model(options={"budget": 0.25}),
    "quarter of the tokens, hard": Model(options={"budget": 0.25, **_HARD}),
    _SOFT_SHARE: Model(options=_SHARE),
    "90 % of the energy, hard": Model(options={**_SHARE, **_HARD}),
}
# The backend "flex" is for CUDA: on a CPU it is not compiled.
BACKEND_MODELS: dict[str, Model] = {
    f"{_SOFT_HALF}, {backend}": Model(options={**_HALF, "backend": backend})
    for backend in BACKENDS
    if backend != "flex"
}
_BATCH = 2  # images at once


@dataclass
class Options(BenchmarkOptions):
    """Throughput and growth of adaptive tokens beside uniform grids, on photographs."""

    photographs: Path | None = None
    """Folder of photographs. Default: those that scikit-image contains."""
    sides: tuple[int, ...] = (224, 448, 896)
    """Sides of the images in pixels, multiples of 32."""
    images: int = 6
    """Photographs that are timed, an even number."""
    threads: int = 2
    """CPU threads."""
    rounds: int = 3
    """Timed rounds at each size, after one that is not."""
    study: bool = False
    """Time the variants of the study "adaptive" on its crops, with its number of rounds, and no
    photographs."""
    quick: bool = False
    """Tiny models, one round: to see that it runs, not to quote."""


def benchmark(options: Options, save: Save = lambda record: None) -> dict[str, Any]:
    """Measures what the options ask for; plain data, ready for JSON.

    Raises:
        ValueError: fewer than one thread or round, a side that is no multiple of 32, an odd number
            of images, fewer photographs of that size, or `study` with `photographs` or `quick`.
    """
    check_at_least("threads", options.threads, 1)
    check_at_least("rounds", options.rounds, 1)
    if not options.sides or any(side < 32 or side % 32 for side in options.sides):
        fail("sides", "multiples of 32 pixels", options.sides)
    if options.images < _BATCH or options.images % _BATCH:
        fail("images", f"a multiple of {_BATCH}", options.images)
    if options.study:
        if options.photographs is not None or options.quick:
            fail("study", "neither photographs nor quick beside it, which it does not use", True)
        with threads_of_torch(options.threads):
            return variant_times(ADAPTIVE, torch.device("cpu"))
    sides = sorted(set(options.sides))
    files = _chosen(options, sides[-1])
    record: dict[str, Any] = {
        "environment": environment(torch.device("cpu"), options.threads),
        "photographs": [name for name, _ in files],
        "batch": _BATCH,
        "sizes": {},
        "backends": {},
    }
    with threads_of_torch(options.threads), torch.inference_mode():
        for side in sides:
            images = torch.cat([_prepared(load(side), side) for _, load in files])
            record["sizes"][str(side)] = _timed(MODELS, images, options)
            if side == sides[0]:
                record["backends"] = _timed(BACKEND_MODELS, images, options)
            save(record)
            print(f"{side} px: done", flush=True)
    return record


def _chosen(options: Options, side: int) -> list[tuple[str, Callable[[int], Tensor]]]:
    """Photographs by name, spread evenly over those that are large enough."""
    found = list(_large(options.photographs, side))
    if len(found) < options.images:
        expected = f"a folder with {options.images} of at least {side} px on the shorter side"
        fail("photographs", expected, f"{len(found)} in {options.photographs or 'scikit-image'}")
    return [found[place * len(found) // options.images] for place in range(options.images)]


def _large(folder: Path | None, side: int) -> Iterator[tuple[str, Callable[[int], Tensor]]]:
    if folder is not None:
        known: PhotographFolder = scan_photographs(folder, "drop", side)
        for name in known.names:
            yield name, partial(load_photograph_file, folder / name, color=True)
        return
    # Imported here: with a folder scikit-image is not needed.
    from wavevit.data.photographs import NAMES, load_photograph

    for name in NAMES:
        if min(load_photograph(name, side, color=True).shape[-2:]) >= side:
            yield name, partial(load_photograph, name, color=True)


def _prepared(photograph: Tensor, side: int) -> Tensor:
    """The middle, about zero and of about unit variance."""
    return (center_crop(photograph[None], (side, side)) - 0.5) / 0.25


def _timed(models: Mapping[str, Model], images: Tensor, options: Options) -> dict[str, Any]:
    """For each model the seconds of an image, the throughput and the tokens of each photograph."""
    built = {name: model.build(images, options.quick) for name, model in models.items()}
    batches = images.split(_BATCH)

    def run(name: str) -> float:
        # The time of a uniform grid is the same for all photographs.
        own = batches if models[name].options is not None else batches[:1]
        return clocked(lambda: [built[name](batch) for batch in own])() / (_BATCH * len(own))

    passes = {name: partial(run, name) for name in models}
    seconds = times(passes, 1 if options.quick else options.rounds)
    reference = REFERENCE if REFERENCE in models else next(iter(models))
    ratios, middle = multiples(seconds, reference), medians(seconds)
    return {
        name: {
            "seconds": middle[name],
            "throughput": 1 / ratios[name],
            "tokens": _tokens(model, built[name], images),
        }
        for name, model in models.items()
    }


def _tokens(model: Model, built: Backbone, images: Tensor) -> list[int]:
    if model.options is None:
        return [(images.shape[-1] // model.patch) ** 2] * len(images)
    found: list[int] = token_counts(built, images).tolist()
    return found


def exponents(record: Mapping[str, Any]) -> dict[str, float]:
    """Power of the number of pixels that each model's time grows with; none for a single size."""
    sizes = record["sizes"]
    if len(sizes) < 2:
        return {}
    return {
        name: growth_exponent({int(side): own[name]["seconds"] for side, own in sizes.items()})
        for name in next(iter(sizes.values()))
    }


def tables(record: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    sizes, growth = record["sizes"], exponents(record)
    head = ["model"]
    for kind in ("tokens at", "s at", "times the throughput at"):
        head += [f"{kind} {side}" for side in sizes]
    head += ["seconds exponent"] if growth else []
    rows = []
    for name in next(iter(sizes.values())):
        own = [size[name] for size in sizes.values()]
        cells = [f"{sum(one['tokens']) / len(one['tokens']):.0f}" for one in own]
        cells += [f"{one['seconds']:.3g}" for one in own]
        cells += [f"{one['throughput']:.2f}" for one in own]
        cells += [f"{growth[name]:.2f}"] if growth else []
        rows.append([name, *cells])
    first = next(iter(sizes))
    backends = [
        [f"`{name.rpartition(', ')[2]}`", f"{own['seconds']:.3g}", f"{own['throughput']:.2f}"]
        for name, own in record["backends"].items()
    ]
    title = next(iter(record["backends"])).rpartition(", ")[2]
    head_of_backends = ["backend", f"s at {first}", f"times the throughput of `{title}`"]
    count = len(record["photographs"])
    return (
        f"Seconds of an image, and throughput as a multiple of that of {REFERENCE}; "
        f"{count} photographs in batches of {record['batch']}; tokens are the mean of those that "
        f"are computed.\n\n{Table(head, rows).markdown()}\n\n{targets(record)}"
        f"Backends of attention, {_SOFT_HALF}, {first} px.\n\n"
        f"{Table(head_of_backends, backends).markdown()}\n"
    )


def targets(record: Mapping[str, Any]) -> str:
    """The targets of this module's docstring, and which are met; empty without their models."""
    sizes, growth, parts = record["sizes"], exponents(record), []
    for name in (_SOFT_HALF, _SOFT_COMPUTED):
        if any(name not in own for own in sizes.values()):
            continue
        found = {side: own[name]["throughput"] for side, own in sizes.items()}
        reached = ", ".join(
            f"{times:.2f} at {side} ({_word(times >= _THROUGHPUT)})"
            for side, times in found.items()
        )
        parts.append(f"{name}, at least {_THROUGHPUT} times the throughput: {reached}")
    if _SOFT_SHARE in growth:
        power = growth[_SOFT_SHARE]
        reached = f"{power:.2f} ({_word(power <= _EXPONENT)})"
        parts.append(f"{_SOFT_SHARE}, an exponent of at most {_EXPONENT}: {reached}")
    if not parts:
        return ""
    return f"Targets, set before the first run: {'; '.join(parts)}.\n\n"


def _word(met: bool) -> str:
    return "met" if met else "missed"


def study_table(record: Mapping[str, Any]) -> str:
    """The record of the study's variants as Markdown."""
    rows = [[f"`{name}`", f"{ratio:.2f}"] for name, ratio in record["ratios"].items()]
    batch, side = record["batch"][0], record["batch"][-1]
    return (
        f"Time of a forward pass as a multiple of that of `{record['reference']}`, "
        f"{batch} crops of {side} px.\n\n{Table(('variant', 'time'), rows).markdown()}\n"
    )


_TABLES = {_RECORD: tables, STUDY_RECORD: study_table}

BENCHMARK = Benchmark(
    name="adaptive_time",
    question="What do adaptive tokens save in time, and how does their time grow with pixels?",
    measure=lambda options, save: benchmark(options, save),
    records={_RECORD: "--photographs ~/photographs", STUDY_RECORD: "--study --threads 1"},
    shown=lambda record: (View((RECORDS / record).with_suffix(".md"), _TABLES[record]),),
    command_line=Options,
    record_of=lambda options: STUDY_RECORD if options.study else _RECORD,
)
