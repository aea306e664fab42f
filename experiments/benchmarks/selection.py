"""The choices that all studies share, judged on validation crops: the peak learning rate of the
plain ViT, and gains and GELU on the subbands of Haar packets.

    python -m experiments bench selection            # train, judge; write record and page

Trained on the ``"fit"`` part of the training halves, judged by top-1 on their ``"validation"``
part, five seeds a choice. A choice is overruled where another is found better: where the 95 %
interval of the paired difference lies above 0, unadjusted for the number of comparisons. A stopped
command resumes from ``runs/selection``. Time: 13 minutes on 2 logical cores of an AMD EPYC.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from experiments.core.benchmark import Benchmark
from experiments.core.config import DataConfig, RunConfig, changed
from experiments.core.evaluation import held_out
from experiments.core.experiment import DOCS, View
from experiments.core.folder import RunFolder, slug
from experiments.core.records import environment
from experiments.core.statistic import Statistic
from experiments.core.table import Table
from experiments.core.training import train
from experiments.measurements.trained_here import side_by_side
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.measure.evaluation import in_batches

RATES = (1e-3, 2e-3, 3e-3, 5e-3)
SEEDS = (0, 1, 2, 3, 4)
_RUNS = Path("runs") / "selection"
_CPU = torch.device("cpu")


def choices() -> dict[str, dict[str, RunConfig]]:
    """By variant of the study and by what is chosen: the plain ViT at each rate, and Haar packets
    with and without what stands behind them."""
    vit, haar = (PATCH_VS_WAVELET.configs()[name] for name in ("vit", "haar_vit"))
    rates = {f"rate {rate:g}": changed(vit, {"optimizer.lr": rate}) for rate in RATES}
    behind = {
        f"{'gains' if norm else 'no gains'}, {'GELU' if act else 'linear'}": changed(
            haar, {"model.subband_norm": norm, "model.subband_act": act}
        )
        for norm in (True, False)
        for act in (True, False)
    }
    data = DataConfig(held_out="validation", margin=0)
    return {
        variant: {name: dataclasses.replace(config, data=data) for name, config in found.items()}
        for variant, found in (("vit", rates), ("haar_vit", behind))
    }


def kept(variant: str) -> str:
    """The choice that the study has."""
    own = PATCH_VS_WAVELET.configs()[variant]
    (name,) = (
        name
        for name, config in choices()[variant].items()
        if dataclasses.replace(config, data=own.data) == own
    )
    return name


def _top1(run: tuple[str, str, int]) -> float:
    """Percent of validation crops that a choice names, trained from one seed."""
    variant, name, seed = run
    config = dataclasses.replace(choices()[variant][name], seed=seed)
    folder = RunFolder(_RUNS / slug(f"{variant}, {name}") / f"seed{seed}")
    folder.claim(config)
    model = train(config, folder, _CPU).eval()
    _, batch = held_out(config.data, _CPU)
    answers = in_batches(model, batch.images, 128).argmax(dim=1)
    return 100 * float((answers == batch.labels).double().mean())


def measure() -> dict[str, Any]:
    """Trains and judges all."""
    runs = [(v, name, seed) for v, found in choices().items() for name in found for seed in SEEDS]
    found = side_by_side(_top1, runs, lambda run: f"{run[0]}, {run[1]}, seed {run[2]}", bar=False)
    values: dict[str, dict[str, list[float]]] = {}
    for (variant, name, _), value in zip(runs, found, strict=True):
        values.setdefault(variant, {}).setdefault(name, []).append(value)
    return {"environment": environment(_CPU, 1), "seeds": list(SEEDS), "top1": values}


def gains(record: dict[str, Any], variant: str) -> dict[str, Statistic]:
    """By choice: points of top-1 over the study's own, seed by seed."""
    found = record["top1"][variant]
    own = found[kept(variant)]
    return {name: Statistic.paired(values, own, "points") for name, values in found.items()}


def overruled(record: dict[str, Any]) -> list[str]:
    """Choices that are found better than the study's own; empty where those stand."""
    return [
        f"{variant}, {name}"
        for variant in record["top1"]
        for name, gain in gains(record, variant).items()
        if gain.direction() == "higher"
    ]


def render(record: dict[str, Any]) -> str:
    """The page's table, every number out of the record."""
    head = [
        "choice",
        "validation top-1, %",
        "difference to the studies' choice, points, 95 % interval",
    ]
    rows = [
        [
            f"`{variant}`, {name}",
            Statistic.of(record["top1"][variant][name]).text(1),
            "the studies' choice" if name == kept(variant) else gain.change(1),
        ]
        for variant in record["top1"]
        for name, gain in gains(record, variant).items()
    ]
    about = f"{len(record['seeds'])} seeds for each choice; mean ± standard deviation."
    found = f"Found better than the studies' choice: {', '.join(overruled(record)) or 'none'}."
    return f"{about}\n\n{Table(head, rows).markdown()}\n\n{found}"


BENCHMARK = Benchmark(
    name="selection",
    question="Do validation crops find better choices than those that all studies share?",
    measure=lambda options, save: measure(),
    records={"selection/selection.json": ""},
    shown=lambda record: (View(DOCS / "selection.md", render, "selection"),),
    minutes={"selection/selection.json": "13"},
)

if __name__ == "__main__":
    BENCHMARK.run_old_command()
