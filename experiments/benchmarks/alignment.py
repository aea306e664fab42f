"""What each alignment does to real architectures: exactness, sensitivity, agreement, time.

    python -m experiments bench alignment                # measure; write record and page
    python -m experiments bench alignment --quick        # two images, one round: does it run?
    python -m experiments bench alignment --pretrained   # timm's weights (a download)
    python -m experiments bench alignment --times        # only the times, on a quiet machine
    python -m experiments bench alignment --cost         # what a lock adds to ViT-Ti's time

Models: six of timm's at 224 pixels, random weights unless asked otherwise, and our
`vit_tiny_patch16` without positions, whose shift period is 16. Images: bundled photographs whose
windows of 256 pixels hold a crop of 224, grey, as three channels. Float32.

exact: largest relative change of the logits under two circular shifts. R: change under a shift of
one pixel over the mean distance between images. agree: pairs of shifts with the same top-1 (C-Cons,
S-Cons). calls: runs of the model per image. time: processor time of a forward pass of two images
in one thread, as a multiple of the plain model's, interleaved, median of the rounds' ratios.

Cost of a lock: time of a forward pass of our `vit_tiny_patch16` at 224 pixels with a lock over the
same without, interleaved, the median of 40 rounds, three times over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from experiments.benchmarks.interleaved import clocked, multiples, threads_of_torch, times
from experiments.benchmarks.photographs import middles
from experiments.core.benchmark import Benchmark, BenchmarkOptions, Save
from experiments.core.experiment import DOCS, View
from experiments.core.records import RECORDS, read_json
from experiments.core.table import Table
from experiments.core.timm_models import timm_model
from wavevit.alignment import AlignedModel, align
from wavevit.checks import check_choice
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.measure import (
    center_crop,
    latency_ratios,
    shift_consistency,
    shift_sensitivity,
)
from wavevit.models import create_model
from wavevit.progress import in_steps

RECORD = "alignment/audit.json"
TIMM = (
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "pvt_v2_b0",
    "mvitv2_tiny",
    "convnext_atto",
    "resnet18",
)
OURS = "vit_tiny_patch16, no positions"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "blur": ("blur", {}),
    "polyphase": ("polyphase", {}),
    "phase_tree": ("phase_tree", {}),
    "phase_lock": ("phase_lock", {}),
    "phase_lock, fractional": ("phase_lock", {"shift": "fractional"}),
    "phase_lock, window": ("phase_lock", {"boundary": "window"}),
    "weighted_frame": ("weighted_frame", {}),
}
LOCKS = ("phase_lock", "phase_lock, fractional", "phase_lock, window")
# Keys of the record, where a roll is a circular shift, with the headings of the tables.
COLUMNS = {
    "exact": "relative error, circular shift",
    "R roll": "R(1 px) circular",
    "R crop": "R(1 px) crop",
    "agree roll": "C-Cons, %",
    "agree crop": "S-Cons, %",
    "calls": "model calls",
    "time": "time",
}


def build(name: str, pretrained: bool) -> nn.Module:
    """A model of the audit, in eval mode."""
    torch.manual_seed(0)
    if name == OURS:
        return create_model("vit_tiny_patch16", position="none", pool="avg").eval()
    return timm_model(name, pretrained=pretrained)


def windows(count: int, side: int = 256) -> Tensor:
    """Middles of the first photographs that are large enough: (count, 3, side, side)."""
    large = [name for name in NAMES if min(load_photograph(name).shape) >= side]
    return middles(side, large[:count], 256).expand(-1, 3, -1, -1)


def exactness(model: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """The largest relative change under two circular shifts."""
    with torch.no_grad():
        still = model(x)
        moved = [model(torch.roll(x, shift, (-2, -1))) for shift in ((0, 1), (11, -5))]
    return max(float(((m - still).norm(dim=1) / still.norm(dim=1)).max()) for m in moved)


def processor_times(models: dict[str, nn.Module], x: Tensor, rounds: int) -> dict[str, float]:
    """Processor time of each model as a multiple of that of ``"none"`` in the same round."""
    passes = {name: clocked(partial(model, x), time.process_time) for name, model in models.items()}
    with threads_of_torch(1), torch.no_grad():
        return multiples(times(passes, rounds), "none")


def row(model: nn.Module, x: Tensor, pairs: int) -> dict[str, float]:
    """The figures of one model, its time left out."""
    size = x.shape[-1] * 7 // 8
    crops = center_crop(x, (size, size))
    options: dict[str, Any] = {"crop_size": size, "batch_size": 4}
    found = {"exact": exactness(model, crops[:2])}
    for kind, label, images in (("circular", "roll", crops), ("crop", "crop", x)):
        sensitivity = shift_sensitivity(model, images, (1,), kind=kind, **options)
        agreement = shift_consistency(model, images, kind=kind, pairs_per_image=pairs, **options)
        found |= {f"R {label}": sensitivity.values[0], f"agree {label}": agreement.percent}
    alignment = model.alignment if isinstance(model, AlignedModel) else None
    found["calls"] = 1.0 if alignment is None else float(alignment.calls(crops).double().mean())
    return found


def _aligned(
    plain: nn.Module, labels: Iterable[str], size: int
) -> tuple[dict[str, nn.Module], AlignedModel]:
    """The model by its methods, ``"none"`` first; and the one that found the period for all."""
    first = align(plain)
    models: dict[str, nn.Module] = {"none": plain}
    for label in labels:
        if label != "none":
            method, options = METHODS[label]
            models[label] = align(plain, method, first.period or size, **options)
    return models, first


def measure(
    names: Sequence[str] = (OURS, *TIMM),
    quick: bool = False,
    pretrained: bool = False,
    size: int = 256,
) -> dict[str, Any]:
    """Everything that the page shows."""
    count, pairs, rounds = (2, 1, 1) if quick else (4, 1, 3)
    x = windows(count, size)
    audit: dict[str, Any] = {}
    for name in names:
        models, first = _aligned(build(name, pretrained), METHODS, max(x.shape))
        rows = {label: row(model, x, pairs) for label, model in models.items()}
        crop = center_crop(x[:2], (size * 7 // 8,) * 2)
        times = processor_times(models, crop, rounds)
        for label, ratio in times.items():
            rows[label] = {k: float(f"{v:.4g}") for k, v in (rows[label] | {"time": ratio}).items()}
        period = first.period or "whole image"
        audit[name] = {"period": f"{period} ({first.period_source})", "methods": rows}
        print(render({"audit": {name: audit[name]}}), flush=True)
    return {
        "audit": audit,
        "images": count,
        "pairs_per_image": pairs,
        "weights": "pretrained" if pretrained else "random",
    }


def retimed(record: dict[str, Any], name: str, size: int = 256, rounds: int = 7) -> None:
    """Times the models of one row of the record again, and nothing else of it."""
    entry = record["audit"][name]
    models, _ = _aligned(build(name, False), entry["methods"], size)
    crop = center_crop(windows(2, size), (size * 7 // 8,) * 2)
    for label, ratio in processor_times(models, crop, rounds).items():
        entry["methods"][label]["time"] = float(f"{ratio:.4g}")


def lock_cost(rounds: int = 40, repeats: int = 3) -> dict[str, Any]:
    """What a lock adds to the time of our ViT-Ti without positions, in percent."""
    plain = build(OURS, False)
    models: dict[str, nn.Module] = {"none": plain}
    models |= {name: align(plain, METHODS[name][0], **METHODS[name][1]) for name in LOCKS}
    cells = []
    for threads in sorted({1, torch.get_num_threads()}):
        for batch in (1, 8):
            x = center_crop(windows(batch), (224, 224))
            with threads_of_torch(threads):
                found = [latency_ratios(models, x, "none", rounds=rounds) for _ in range(repeats)]
            added = {
                name: [float(f"{100 * (ratios[name] - 1):.2f}") for ratios in found]
                for name in LOCKS
            }
            cells.append({"threads": threads, "batch": batch, "added_percent": added})
    return {"model": OURS, "pixels": 224, "rounds": rounds, "cells": cells}


def render_cost(record: dict[str, Any]) -> str:
    """The table of `lock_cost`: median of the repeats, lowest and highest."""
    if "lock_cost" not in record:
        return "Not recorded yet."
    rows = []
    for cell in record["lock_cost"]["cells"]:
        spans = [cell["added_percent"][name] for name in LOCKS]
        texts = [f"{median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in spans]
        head = f"batch {cell['batch']}, threads: {cell['threads']}"
        rows.append([head, *texts])
    return Table(["time that the lock adds, %", *LOCKS], rows).markdown()


def render(record: dict[str, Any]) -> str:
    """The page's tables, every number out of the record."""
    parts = []
    for name, entry in record["audit"].items():
        rows = []
        for method, values in entry["methods"].items():
            cells = [f"{values['exact']:.0e}", f"{values['R roll']:.3f}", f"{values['R crop']:.3f}"]
            cells += [f"{values[c]:.0f}" for c in ("agree roll", "agree crop")]
            cells += [f"{values[c]:.2f}" for c in ("calls", "time")]
            rows.append([method, *cells])
        table = Table(["method", *COLUMNS.values()], rows).markdown()
        parts.append(f"**{name}**, period: {entry['period']}\n\n{table}")
    return "\n\n".join(parts)


@dataclass
class Options(BenchmarkOptions):
    """Measure alignments on real architectures."""

    quick: bool = False
    """Two images and one round: to see that it runs, not to quote."""
    pretrained: bool = False
    """timm's weights (a download), printed and not recorded."""
    models: tuple[str, ...] = (OURS, *TIMM)
    """Models by name; by default all."""
    times: bool = False
    """Only time again what is recorded."""
    cost: bool = False
    """Only measure what a phase lock adds to the time of ViT-Ti."""


def benchmark(options: Options, save: Save) -> dict[str, Any]:
    """Measures what the options ask for; what the record has beside it stays."""
    for name in options.models:
        check_choice("models", name, (OURS, *TIMM))
    if options.quick or options.pretrained:
        return measure(options.models, options.quick, options.pretrained)
    path = RECORDS / RECORD
    record: dict[str, Any] = read_json(path) if path.exists() else {"audit": {}}
    record.pop("environment", None)  # this run's is noted
    if options.cost:
        return record | {"lock_cost": lock_cost()}
    for name in in_steps(
        options.models, bar=False
    ):  # one by one: an interrupted audit keeps what it has
        if not options.times:
            new = measure([name])
            record |= new | {"audit": record["audit"] | new["audit"]}
        elif name in record["audit"]:
            retimed(record, name)
        save(record)
    return record


BENCHMARK = Benchmark(
    name="alignment",
    question="What does an alignment do to existing architectures, and what does it cost?",
    measure=benchmark,
    records={RECORD: ""},
    shown=lambda record: (
        View(DOCS / "shift-invariance.md", render, "audit"),
        View(DOCS / "shift-invariance.md", render_cost, "lock cost"),
    ),
    command_line=Options,
)

if __name__ == "__main__":
    BENCHMARK.run_old_command()
