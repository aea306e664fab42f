"""Times backbones beside timm's: ``python -m experiments bench backbones``.

On the CPU, in one run: latency as a multiple of timm's ViT-S (every model once a round, median of
the ratios inside a round), eager and compiled, at several numbers of threads; and for images from
224 to 896 pixels a side multiply-accumulates, time and peak memory of activations, with the power
of the number of pixels that each grows with. With ``--device cuda``: images per second and peak
memory in bfloat16, compiled, batches of 64, at 224 and 512 pixels, every model in a process of its
own (`experiments.benchmarks.throughput`).
Records: experiments/records/latency/.
Time on 2 logical cores of an AMD EPYC: 7 minutes; on a GPU with 16 cores 3, nearly all of it in
compilers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from experiments.benchmarks.interleaved import clocked, medians, threads_of_torch, times
from experiments.benchmarks.throughput import Builder, throughput
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.device import pick_device
from experiments.core.experiment import View
from experiments.core.records import RECORDS, environment
from experiments.core.table import Table
from experiments.core.timm_models import timm_model
from wavevit.checks import check_at_least
from wavevit.measure import cost, growth_exponent, latency_ratios, peak_activation_bytes
from wavevit.models import Backbone, create_model, model_config
from wavevit.progress import in_steps

REFERENCE = "timm vit_small_patch16_224"


def _timm(name: str, side: int) -> nn.Module:
    sized = name.startswith(("vit", "swin"))
    return timm_model(name, img_size=side) if sized else timm_model(name)


def _ours(name: str, side: int) -> nn.Module:
    sized = "vit" in name
    return (create_model(name, img_size=side) if sized else create_model(name)).eval()


def _folded(name: str, side: int) -> nn.Module:
    return Backbone(model_config(name)).fold()


MODELS: dict[str, Builder] = {
    REFERENCE: partial(_timm, "vit_small_patch16_224"),
    "timm swin_tiny": partial(_timm, "swin_tiny_patch4_window7_224"),
    "timm pvt_v2_b2": partial(_timm, "pvt_v2_b2"),
    "timm convnext_tiny": partial(_timm, "convnext_tiny"),
    "dtcwt_vit_small": partial(_ours, "dtcwt_vit_small"),
    "haar_vit_small": partial(_ours, "haar_vit_small"),
    "haar_pyramid_small": partial(_ours, "haar_pyramid_small"),
    "haar_pyramid_small folded": partial(_folded, "haar_pyramid_small"),
}
# On a GPU what the CPU's quiet minutes have no room for.
CUDA_MODELS: dict[str, Builder] = {
    **MODELS,
    "dtcwt_pyramid_tiny": partial(_ours, "dtcwt_pyramid_tiny"),
}
# Compiling takes a minute each: the reference, its rival and ours.
COMPILED = (REFERENCE, "timm swin_tiny", "haar_pyramid_small")


@dataclass
class Options(BenchmarkOptions):
    """Latency, growth and memory of backbones beside timm's, in one run."""

    quick: bool = False
    """One round of small images, nothing compiled: to see that it runs, not to quote."""
    device: Literal["cpu", "cuda"] = "cpu"
    """On cuda: throughput in bfloat16, compiled."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads, each timed on its own."""
    batch: int = 0
    """Images at once; by default 4 on the CPU and 64 on cuda."""
    sides: tuple[int, ...] = (224, 512)
    """Sides of the images on cuda, px; one process each, all of them compiling at once."""
    limit: float = 900.0
    """Seconds that compiling may take on cuda; models that take longer are named and left out."""
    settle: float = 0.0
    """Seconds on cuda between compiling and timing, to pause whatever else the machine does."""


def benchmark(
    options: Options, models: Mapping[str, Builder] = MODELS, save: Save = lambda record: None
) -> dict[str, Any]:
    """Measures what the options ask for; plain data, ready for JSON.

    Raises:
        ValueError: no thread, a negative batch, images too small for five halvings.
    """
    for threads in options.threads:
        check_at_least("threads", threads, 1)
    check_at_least("batch", options.batch, 0)
    for side in options.sides:
        check_at_least("sides", side, 32)
    device = pick_device(options.device)
    where = environment(device, max(options.threads), ["timm"])
    record: dict[str, Any] = {"environment": where}
    if device.type == "cuda":
        record["throughput"] = throughput(
            CUDA_MODELS if models is MODELS else models,
            options.batch or 64,
            (64,) if options.quick else options.sides,
            lambda rows: save({**record, "throughput": rows}),
            compiled=not options.quick,
            rounds=1 if options.quick else 7,
            limit=options.limit,
            settle=options.settle,
        )
        return record
    record["latency"] = _latency(models, options)
    sizes = (64, 128) if options.quick else (224, 448, 896)
    with threads_of_torch(max(options.threads)):
        record["growth"] = _growth(models, sizes, 1 if options.quick else 3)
    return record


def _latency(models: Mapping[str, Builder], options: Options) -> dict[str, Any]:
    side, batch = (64 if options.quick else 224), options.batch or 4
    images = _images(batch, side)
    built = {name: build(side) for name, build in models.items()}
    costs = {name: asdict(cost(model, images[:1])) for name, model in built.items()}
    ratios = []
    for threads in in_steps(options.threads, lambda count: f"latency, threads: {count}"):
        contenders: dict[str, Callable[[Tensor], Any]] = dict(built)
        with threads_of_torch(threads):
            if not options.quick:
                torch.compiler.reset()  # what was compiled for another number of threads
                for name in COMPILED:
                    contenders[f"{name} compiled"] = torch.compile(built[name], dynamic=False)
            found = latency_ratios(contenders, images, REFERENCE, rounds=1 if options.quick else 11)
        ratios.append({"threads": threads, "ratio": found})
    return {"batch": batch, "side": side, "cost": costs, "ratios": ratios}


def _growth(
    models: Mapping[str, Builder], sizes: tuple[int, ...], rounds: int
) -> dict[str, dict[str, Any]]:
    """For each model and quantity the figures by size, and the exponent, for one image."""
    found: dict[str, dict[str, dict[int, float]]] = {
        name: {"macs": {}, "seconds": {}, "peak_bytes": {}} for name in models
    }
    for side in in_steps(sizes, lambda side: f"growth, {side} px"):
        images = _images(1, side)
        built = {name: build(side) for name, build in models.items()}
        for name, model in built.items():
            found[name]["macs"][side] = cost(model, images).macs
            found[name]["peak_bytes"][side] = peak_activation_bytes(model, images)
        passes = {name: clocked(partial(model, images)) for name, model in built.items()}
        with torch.no_grad():
            for name, seconds in medians(times(passes, rounds)).items():
                found[name]["seconds"][side] = seconds
    return {
        name: {
            quantity: {"by_side": by_side, "exponent": growth_exponent(by_side)}
            for quantity, by_side in quantities.items()
        }
        for name, quantities in found.items()
    }


def _images(batch: int, side: int) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def tables(record: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    if "throughput" in record:
        return _throughput_table(record["throughput"])
    latency, growth = record["latency"], record["growth"]
    threads = [entry["threads"] for entry in latency["ratios"]]
    head = ["model", "parameters, M", "GMAC"]
    head += [f"time / ViT-S, threads={count}" for count in threads]
    rows = []
    for name in latency["ratios"][0]["ratio"]:
        counts = latency["cost"].get(name)
        row = [f"`{name}`", "", ""]
        if counts:
            row[1:] = [f"{counts['parameters'] / 1e6:.1f}", f"{counts['macs'] / 1e9:.2f}"]
        rows.append(row + [f"{entry['ratio'][name]:.2f}" for entry in latency["ratios"]])
    first = f"Batch {latency['batch']}, {latency['side']} px.\n\n{Table(head, rows).markdown()}\n"
    sides = list(next(iter(growth.values()))["macs"]["by_side"])
    head = ["model"]
    for quantity, unit in _UNITS.items():
        head += [f"{unit[0]} at {side}" for side in sides] + [f"{quantity} exponent"]
    rows = []
    for name, quantities in growth.items():
        row = [f"`{name}`"]
        for quantity, (_, scale) in _UNITS.items():
            found = quantities[quantity]
            row += [f"{found['by_side'][side] / scale:.3g}" for side in sides]
            row.append(f"{found['exponent']:.3f}")
        rows.append(row)
    return f"{first}\nOne image.\n\n{Table(head, rows).markdown()}\n"


def _throughput_table(found: Sequence[Mapping[str, Any]]) -> str:
    head, rows = ["model", "side, px", "images/s", "times ViT-S", "peak, GiB"], []
    for row in found:
        cells = [f"`{row['model']}`", str(row["side"])]
        if "error" in row:
            rows.append([*cells, f"failed: {row['error']}", "–", "–"])
            continue
        ratio = f"{row['times_reference']:.2f}" if "times_reference" in row else "–"
        peak = f"{row['peak_bytes'] / 2**30:.2f}"
        rows.append([*cells, f"{row['images_per_second']:.0f}", ratio, peak])
    return Table(head, rows).markdown() + "\n"


_UNITS = {"macs": ("GMAC", 1e9), "seconds": ("s", 1.0), "peak_bytes": ("peak MiB", 2**20)}


BENCHMARK = Benchmark(
    name="backbones",
    question="What does a wavelet pyramid cost beside a plain ViT, and how does that grow?",
    measure=lambda options, save: benchmark(options, save=save),
    records={"latency/cpu.json": "", "latency/cuda.json": "--device cuda"},
    shown=lambda record: (View((RECORDS / record).with_suffix(".md"), tables),),
    command_line=Options,
    record_of=lambda options: f"latency/{options.device}.json",
    minutes={"latency/cpu.json": "7", "latency/cuda.json": "3"},
)


if __name__ == "__main__":
    BENCHMARK.run_old_command(printed=True)
