"""Every value of one axis of the configuration space in one fixed model: cost and shift figures.

    python -m experiments bench axes tokenizer            # measure; write record, table, page

Axes: ``tokenizer`` in ViT-Tiny (one grid of stride 16), the others in a pyramid of strides 4 to
32 (`REFERENCES`); both with circular padding and average pooling, so that only the value can make a
model sensitive to circular shifts. A value that the reference refuses is recorded with the reason.

Cost: parameters, multiply-accumulates (`wavevit.measure.cost`) and time at 224 px; time is the
median over interleaved rounds, as a multiple of that of the axis's first value, the plain one.

R(1 px): ``‖f(T x) − f(x)‖`` over the mean distance between different photographs
(`wavevit.measure.shift_sensitivity`), on 128-px crops of the 18 bundled photographs, for the
pooled features and for the last map, for a circular shift and for a crop shift. **At random
weights**: mean and standard deviation over seeds of the initialisation. It shows the architecture,
not a trained model.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from experiments.benchmarks.photographs import middles
from experiments.core.benchmark import Benchmark, BenchmarkOptions
from experiments.core.experiment import DOCS, View
from experiments.core.records import RECORDS
from experiments.core.table import Table
from wavevit.checks import check_choice
from wavevit.layers import DOWNSAMPLES, MIXERS, POSITIONS, TOKENIZERS
from wavevit.measure import center_crop, cost, latency_ratios, shift_sensitivity
from wavevit.models import Backbone, BackboneConfig, make_stages
from wavevit.progress import in_steps

SEEDS = (0, 1, 2)
COST_SIZE, SHIFT_SIZE = 224, 128


def _first(plain: str, names: Iterable[str]) -> tuple[str, ...]:
    return (plain, *(name for name in names if name != plain))


# The value of a plain model, with which the others are compared, and the other values.
AXES = {
    # The cost of adaptive tokens depends on the images; the study `adaptive` measures it.
    "tokenizer": _first("patch", [name for name in TOKENIZERS.names() if name != "adaptive"]),
    "mixer": _first("global", MIXERS.names()),
    "downsample": _first("patch_merging", DOWNSAMPLES.names()),
    "position": _first("learned", POSITIONS.names()),
    "inject": ("off", "on"),
}
PAGES = {"tokenizer": "tokenizers", "mixer": "mixers", "position": "positions"}

_VIT = BackboneConfig(
    stages=make_stages(depths=[12], embed_dims=[192], num_heads=3),
    position="conv",
    padding="circular",
)
_PYRAMID = BackboneConfig(
    stages=make_stages(
        depths=(2, 2, 2, 2),
        embed_dims=(32, 64, 128, 256),
        num_heads=(1, 2, 4, 8),
        reduction=(4, 2, 1, 1),  # without it, mixers that reduce keys would be global ones
    ),
    patch_size=4,
    position="conv",
    padding="circular",
)
# Windows, because the relative bias lives in them; every other position works there too.
_WINDOWS = dataclasses.replace(
    _PYRAMID, stages=tuple(dataclasses.replace(s, mixer="window") for s in _PYRAMID.stages)
)
REFERENCES = {
    "tokenizer": _VIT,
    "mixer": _PYRAMID,
    "downsample": _PYRAMID,
    "position": _WINDOWS,
    "inject": _PYRAMID,
}


def variant(axis: str, value: str) -> BackboneConfig:
    """The axis's reference with one field changed (in every stage that has it).

    Raises:
        ValueError: the combination makes no sense; the configuration says why.
    """
    base = REFERENCES[axis]
    if axis in ("tokenizer", "position"):
        return dataclasses.replace(base, **{axis: value})  # type: ignore[arg-type]
    first, *later = base.stages
    changed: dict[str, Any] = {axis: value == "on" if axis == "inject" else value}
    if axis not in ("downsample", "inject"):  # the tokenizer makes the first grid, of every detail
        first = dataclasses.replace(first, **changed)
    stages = (first, *(dataclasses.replace(stage, **changed) for stage in later))
    return dataclasses.replace(base, stages=stages)


def _build(axis: str, value: str, img_size: int, seed: int) -> Backbone:
    torch.manual_seed(seed)
    config = dataclasses.replace(variant(axis, value), img_size=img_size, num_classes=0)
    return Backbone(config).eval()


def windows() -> Tensor:
    """The photographs' middles, (18, 3, H, W), one pixel larger than the crop on every side."""
    return middles(SHIFT_SIZE + 2).expand(-1, 3, -1, -1)


def _sensitivities(model: Backbone, images: Tensor) -> dict[str, float]:
    embeddings: dict[str, Callable[[Tensor], Tensor]] = {
        "pooled": model,
        "map": model.forward_features,
    }
    whole = center_crop(images, (SHIFT_SIZE, SHIFT_SIZE))
    found = {}
    for name, embed in embeddings.items():
        circular = shift_sensitivity(embed, whole, (1,), kind="circular")
        crop = shift_sensitivity(embed, images, (1,), kind="crop", crop_size=SHIFT_SIZE)
        found[f"{name}_circular"], found[f"{name}_crop"] = circular.values[0], crop.values[0]
    return found


def measure(axis: str, seeds: tuple[int, ...] = SEEDS, rounds: int = 11) -> dict[str, Any]:
    """The record of an axis."""
    torch.set_num_threads(1)
    images = windows()
    batch = torch.rand(2, 3, COST_SIZE, COST_SIZE, generator=torch.Generator().manual_seed(0))
    values: dict[str, dict[str, Any]] = {}
    models = {}
    for value in in_steps(AXES[axis], lambda value: f"{axis} {value}"):
        try:
            models[value] = _build(axis, value, COST_SIZE, seeds[0])
        except ValueError as error:
            values[value] = {"refused": str(error)}
            continue
        counted, symmetry = cost(models[value], batch), models[value].symmetry
        runs = [_sensitivities(_build(axis, value, SHIFT_SIZE, seed), images) for seed in seeds]
        shift = {
            name: {
                "mean": round(statistics.mean(run[name] for run in runs), 4),
                "std": round(statistics.stdev(run[name] for run in runs), 4),
            }
            for name in runs[0]
        }
        values[value] = {
            "parameters": counted.parameters,
            "macs": counted.macs,
            "period": symmetry.period,
            "circular": symmetry.circular,
            "shift": shift,
        }
    ratios = latency_ratios(models, batch, AXES[axis][0], rounds=rounds)
    for value, ratio in ratios.items():
        values[value]["time"] = round(ratio, 3)
    return {
        "axis": axis,
        "reference": REFERENCES[axis].to_dict(),
        "weights": "random",
        "seeds": list(seeds),
        "photographs": len(images),
        "values": values,
    }


def _symmetry(row: dict[str, Any]) -> str:
    if row["period"] is None:
        return "none"
    return f"{row['period']} px" + ("" if row["circular"] else ", except at borders")


def render(record: dict[str, Any]) -> str:
    """The page's table, every number out of the record."""
    about = (
        f"Random weights. R: change of the pooled features, or of the last map after it is shifted "
        f"back, under a shift by one pixel; mean ± standard deviation over {len(record['seeds'])} "
        f"seeds, on {record['photographs']} photographs. Parameters, multiply-accumulates and time "
        f"(as a multiple of the first row's) are for images of {COST_SIZE} px."
    )
    head = [record["axis"], "M parameters", "MMAC", "time", "shift period"]
    head += ["R circular, pooled", "R crop, pooled", "R circular, map", "R crop, map"]
    rows, refused = [], []
    for value, row in record["values"].items():
        if "refused" in row:
            refused.append(f"* `{value}` is refused by the reference: {row['refused']}")
            continue
        cells = [
            f"`{value}`",
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['macs'] / 1e6:.0f}",
            f"{row['time']:.2f}",
            _symmetry(row),
        ]
        for name in ("pooled_circular", "pooled_crop", "map_circular", "map_crop"):
            cells.append(f"{row['shift'][name]['mean']:.3f} ± {row['shift'][name]['std']:.3f}")
        rows.append(cells)
    parts = [about, Table(head, rows).markdown(), *(["\n".join(refused)] if refused else [])]
    return "\n\n".join(parts)


@dataclass
class Options(BenchmarkOptions):
    """Measure every value of one axis: cost, time and change under a shift of one pixel."""

    axis: Annotated[str, tyro.conf.Positional] = ""
    """tokenizer, mixer, downsample, position or inject"""


def _record_of(options: Options) -> str:
    check_choice("axis", options.axis, AXES)
    return f"axes/{options.axis}.json"


def _shown(record: str) -> tuple[View, ...]:
    """The table beside the record, and the axis's page where there is one."""
    axis = Path(record).stem
    page = DOCS / "axes" / f"{PAGES.get(axis, axis)}.md"
    table = View((RECORDS / record).with_suffix(".md"), lambda data: render(data) + "\n")
    return (table, View(page, render, "axis")) if page.exists() else (table,)


BENCHMARK = Benchmark(
    name="axes",
    question="What does one field of the configuration change in cost and under a 1-px shift?",
    measure=lambda options, save: measure(options.axis),
    records={f"axes/{axis}.json": axis for axis in AXES},
    shown=_shown,
    command_line=Options,
    record_of=_record_of,
)

if __name__ == "__main__":
    BENCHMARK.run_old_command()
