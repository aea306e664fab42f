"""Cost of the study `imagenet`, from measured multiply-accumulates.

Command: ``python -m experiments bench imagenet_cost``. One forward pass of each model on the CPU;
nothing is timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from experiments.core.benchmark import Benchmark, BenchmarkOptions
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from experiments.studies.imagenet import EPOCHS, IMAGENET, IMAGES
from wavevit.measure import cost
from wavevit.models import Backbone
from wavevit.progress import in_steps

# Dense bfloat16, from the vendor's data sheets, in 1e12 operations a second.
PEAKS = {"A100": 312, "H100 or H200 (SXM)": 989}
SHARE = 0.5
# A backward pass computes two products for each of the forward pass; one MAC is two operations.
_PASSES, _OPERATIONS = 3, 2


@dataclass
class Options(BenchmarkOptions):
    """Count multiply-accumulates of the models of the study `imagenet` and derive GPU hours."""

    variants: tuple[str, ...] = ()
    """Variants by name; by default all. Fewer write no record."""


def gpu_hours(macs: float, images: float, peak: float, share: float = SHARE) -> float:
    """Hours of one GPU for a training.

    Args:
        macs: multiply-accumulates of a forward pass for one image.
        images: seen in training, those of all epochs together.
        peak: operations a second, in 1e12.
        share: of the peak that is reached.
    """
    return _PASSES * _OPERATIONS * macs * images / (peak * 1e12 * share) / 3600


def measure(options: Options) -> dict[str, Any]:
    """Parameters and multiply-accumulates of each variant."""
    configs = IMAGENET.configs()
    found = {}
    for name in in_steps(options.variants or configs):
        model = Backbone(configs[name].model).eval()
        one = cost(model, torch.randn(1, 3, *configs[name].model.image_size))
        found[name] = {"parameters": one.parameters, "macs": one.macs}
    return {"images": IMAGES, "epochs": EPOCHS, "models": found}


def render(record: dict[str, Any]) -> str:
    """One row a variant: size, cost of a forward pass, GPU hours of a training."""
    seen = record["images"] * record["epochs"]
    head = ["variant", "parameters, million", "GMAC for one image"]
    head += [f"hours of one {gpu}" for gpu in PEAKS]
    rows = [
        [
            f"`{name}`",
            f"{one['parameters'] / 1e6:.1f}",
            f"{one['macs'] / 1e9:.2f}",
            *(f"{gpu_hours(one['macs'], seen, peak):.1f}" for peak in PEAKS.values()),
        ]
        for name, one in record["models"].items()
    ]
    return Table(head, rows).markdown()


BENCHMARK = Benchmark(
    name="imagenet_cost",
    question="What does the study imagenet cost, in hours of a GPU?",
    measure=lambda options, save: measure(options),
    records={"imagenet/cost.json": ""},
    shown=lambda record: (View(DOCS / "scale.md", render, "imagenet cost"),),
    command_line=Options,
)
