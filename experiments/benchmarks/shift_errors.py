"""Change of each transform's coefficients under a circular shift by one pixel, and its cost.

    python -m experiments bench shift_errors            # measure; write record and page

Error: the 18 bundled photographs, reduced to at most 256 pixels on the shorter side and cut to
multiples of 16, float64, periodic mode, shifted circularly by one pixel along rows and along
columns: ``min_k ‖S(T₁ x) - T_k S(x)‖ / ‖S(x)‖`` over the nine circular shifts `k` of the output's
own grid by at most one sample (so that a transform which only moves with the image counts as
exact). Mean and worst over photographs and axes. Circular shifts only: nothing here is about crops.

Cost: one level (scattering: two scales) of (8, 3, 224, 224) in float32, eager, no gradient, one
thread, all transforms and ``x.clone()`` interleaved; the median of the processor times over the
median of the clone's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.interleaved import clocked, medians, times
from experiments.core.benchmark import Benchmark
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from wavevit.data.photographs import NAMES, load_photograph
from wavevit.progress import in_steps
from wavevit.wavelets import dtcwt2, dwt2, scattering2, wavedec2
from wavevit.wavelets._engine.haar import haar_details_undecimated

Representation = Callable[[Tensor], Tensor]


def _haar(x: Tensor, level: int) -> Tensor:
    return wavedec2(x, level=level).details[0]


def _dual(x: Tensor, level: int) -> Tensor:
    return dtcwt2(x, level, mode="periodic").details[0]


def _levels(of: Callable[..., Tensor]) -> dict[str, Representation]:
    """A transform's details at three levels."""
    return {f"level {level}": partial(of, level=level) for level in (1, 2, 3)}


def _scattering(x: Tensor, paths: slice) -> Tensor:
    return scattering2(x, 2, 2, mode="periodic").unflatten(1, (x.shape[1], -1))[:, :, paths]


# What is compared, by row of the table and by column. Scattering's columns are its orders.
REPRESENTATIONS: dict[str, dict[str, Representation]] = {
    "haar": _levels(_haar),
    "haar magnitude": _levels(lambda x, level: _haar(x, level).abs()),
    "undecimated haar": {"level 1": haar_details_undecimated},
    "dual tree": _levels(_dual),
    "dual tree magnitude": _levels(lambda x, level: _dual(x, level).norm(dim=3)),
    "scattering": {
        "order 1, scale 1": partial(_scattering, paths=slice(1, 7)),
        "order 1, scale 2": partial(_scattering, paths=slice(7, 13)),
        "order 2": partial(_scattering, paths=slice(13, 49)),
    },
}

TIMED: dict[str, Callable[[Tensor], Any]] = {
    "clone": torch.clone,
    "haar": dwt2,
    "undecimated haar": haar_details_undecimated,
    "dual tree": lambda x: dtcwt2(x, 1),
    "scattering": lambda x: scattering2(x, 2, 2),
}

# Numbers out per number in: 4**-l (detail bands) summed over levels, and the approximation.
REDUNDANCY = {"haar": 1.0, "undecimated haar": 4.0, "dual tree": 4.0, "scattering": 49 / 16}


def photographs() -> Iterator[Tensor]:
    """(1, 1, H, W) float64, sides that 16 divides."""
    for name in NAMES:
        image = load_photograph(name).double()
        height, width = (side // 16 * 16 for side in image.shape)
        yield image[:height, :width][None, None]


def shift_error(representation: Representation, x: Tensor) -> list[float]:
    """The best-realigned relative error for a shift along the rows and along the columns."""
    before = representation(x)
    rolls = [torch.roll(before, (i, j), (-2, -1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return [
        min(float((after - roll).norm() / before.norm()) for roll in rolls)
        for after in (representation(torch.roll(x, 1, axis)) for axis in (-2, -1))
    ]


def costs(rounds: int = 9) -> dict[str, float]:
    """Processor time of each transform as a multiple of a clone's."""
    x = torch.rand(8, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    passes = {name: clocked(partial(run, x), time.process_time) for name, run in TIMED.items()}
    with torch.no_grad():
        found = medians(times(passes, rounds))
    return {name: round(value / found["clone"], 2) for name, value in found.items()}


def measure() -> dict[str, Any]:
    """Everything that the page shows."""
    torch.set_num_threads(1)
    errors: dict[str, dict[str, dict[str, float]]] = {}
    for row in in_steps(REPRESENTATIONS):
        errors[row] = {}
        for column, representation in REPRESENTATIONS[row].items():
            values = [e for x in photographs() for e in shift_error(representation, x)]
            errors[row][column] = {
                "mean": round(statistics.mean(values), 4),
                "worst": round(max(values), 4),
            }
    return {
        "shift": "circular, one pixel along one axis, best realigned on the output's grid",
        "photographs": len(NAMES),
        "errors": errors,
        "redundancy": {name: round(value, 2) for name, value in REDUNDANCY.items()},
        "cost_in_clones": costs(),
    }


def render(record: dict[str, Any]) -> str:
    """The page's tables, every number out of the record."""
    rows = []
    for row, columns in record["errors"].items():
        cells = [f"{name}: {e['mean']:.3f} ({e['worst']:.3f})" for name, e in columns.items()]
        rows.append([row, *[*cells, "", ""][:3]])
    errors = Table(["coefficients", "relative error: mean (worst)", "same", "same"], rows)
    clones = record["cost_in_clones"]
    rows = [[name, f"{own:g}", f"{clones[name]:g}"] for name, own in record["redundancy"].items()]
    costs = Table(["transform", "coefficients for each pixel", "time, x.clone() = 1"], rows)
    return f"{errors.markdown()}\n\n{costs.markdown()}"


BENCHMARK = Benchmark(
    name="shift_errors",
    question="Which wavelet transform changes least under a 1-px shift, and what does it cost?",
    measure=lambda options, save: measure(),
    records={"transforms/shift_errors.json": ""},
    shown=lambda record: (View(DOCS / "which-transform.md", render, "shift_errors"),),
)

if __name__ == "__main__":
    BENCHMARK.run_old_command()
