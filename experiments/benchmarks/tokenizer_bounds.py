"""Lipschitz constants and frame bounds of each tokenizer, beside slopes that were found.

    python -m experiments bench tokenizer_bounds             # measure; write record and page

Grey images of 48 pixels, stride 8, random weights, circular padding and another. Beside each
constant stands the steepest slope that power iterations from photographs and noise found. Two
minutes on a laptop.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.photographs import middles
from experiments.core.benchmark import Benchmark
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from wavevit.measure import tokenizer_bounds
from wavevit.models import Backbone, BackboneConfig
from wavevit.models.config import make_stages
from wavevit.progress import in_steps
from wavevit.testing import steepest_pair

SIDE, STRIDE, DIM = 48, 8, 128
ITERATIONS = 20
# Fields beside the tokenizer's own name.
TOKENIZERS: dict[str, dict[str, Any]] = {
    "patch": {},
    "overlap": {},
    "dwt, linear": {"subband_act": False},
    "dwt": {},
    "dwt, bior4.4": {"wavelet": "bior4.4"},
    "swt": {},
    "dtcwt": {},
    "scattering": {},
    "alias_free": {},
    "conv_stem": {},
}
BORDERS = ("circular", "zeros")


def images() -> Tensor:
    """Photographs and noise of several sizes, (12, 1, 48, 48), about zero."""
    photographs = middles(SIDE, ("astronaut", "brick", "camera", "cat"), 64, torch.float64)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 1, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return torch.cat([photographs, noise, 10 * noise])


def measure() -> dict[str, Any]:
    """Every tokenizer with both paddings; a tokenizer that pads nothing once."""
    rows = []
    for name in in_steps(TOKENIZERS):
        for border in BORDERS:
            torch.manual_seed(0)
            config = BackboneConfig(
                stages=make_stages(depths=[1], embed_dims=[DIM], num_heads=1),
                in_chans=1,
                tokenizer=name.partition(",")[0],
                patch_size=STRIDE,
                padding=border,
                **TOKENIZERS[name],
            )
            tokenizer = Backbone(config).double().eval().tokenizer
            if border == "zeros" and tokenizer.symmetry.circular:
                continue
            bounds = tokenizer_bounds(tokenizer, torch.zeros(1, 1, SIDE, SIDE))
            slopes = steepest_pair(tokenizer, images(), iterations=ITERATIONS)[1]
            rows.append(
                {
                    "tokenizer": name,
                    "border": border,
                    "lower": bounds.frame.lower,
                    "upper": bounds.frame.upper,
                    "redundancy": bounds.frame.redundancy,
                    "method": bounds.frame.method,
                    "lipschitz": bounds.lipschitz,
                    "exact": bounds.lipschitz_exact,
                    "found": float(slopes.max()),
                }
            )
    return {
        "tokenizers": rows,
        "side": SIDE,
        "stride": STRIDE,
        "channels": DIM,
        "iterations": ITERATIONS,
        "weights": "random",
    }


def render(record: dict[str, Any]) -> str:
    """The page's table, every number out of the record."""
    head = ["tokenizer", "padding", "frame bound A", "frame bound B", "numbers for each pixel"]
    head += ["constant", "the constant is", "steepest slope found", "constant / found"]
    rows = []
    for row in record["tokenizers"]:
        cells = [
            f"`{row['tokenizer']}`",
            "mirrored, repeated or zeros" if row["border"] == "zeros" else "circular",
            f"{row['lower']:.3g}",
            f"{row['upper']:.3g}",
            f"{row['redundancy']:.3g}",
            f"{row['lipschitz']:.3g}",
            "exact" if row["exact"] else "bound",
            f"{row['found']:.3g}",
            f"{row['lipschitz'] / row['found']:.3g}",
        ]
        rows.append(cells)
    return Table(head, rows).markdown()


BENCHMARK = Benchmark(
    name="tokenizer_bounds",
    question="Which Lipschitz constants of tokenizers are exact, and how loose are the bounds?",
    measure=lambda options, save: measure(),
    records={"tokenizer_bounds/tokenizer_bounds.json": ""},
    shown=lambda record: (View(DOCS / "agreements.md", render, "tokenizers"),),
    minutes={"tokenizer_bounds/tokenizer_bounds.json": "2"},
)

if __name__ == "__main__":
    BENCHMARK.run_old_command()
