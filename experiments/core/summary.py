"""From the runs of a study to one table: means, standard deviations, paired differences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from experiments.core.config import Study
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.segmentation.measures import SHIFTS
from experiments.core.statistic import Statistic
from experiments.core.zoom import ZOOMS
from wavevit.checks import fail

__all__ = ["DECIDING", "METRICS", "Metric", "Statistic", "StudySummary", "summarize"]


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        path: keys into ``result.json``.
        title: head of the column.
        unit: behind the title, empty for a pure number.
        digits: decimals shown.
        better: ``"high"``, ``"low"`` or ``""``.
        measure: which of `experiments.core.evaluation.MEASURES` it is of; empty for a standard one.
        task: that has it; empty for all of them.
    """

    path: tuple[str, ...]
    title: str
    unit: str
    digits: int
    better: str
    measure: str = ""
    task: str = "classification"

    def of(self, result: Mapping[str, Any]) -> float:
        """Its value in one run's result."""
        value: Any = result
        for key in self.path:
            value = value[key]
        return float(value)


METRICS = {
    "top1": Metric(("top1",), "top-1", "%", 1, "high"),
    "circular": Metric(("consistency", "circular", "percent"), "C-Cons", "%", 1, "high"),
    "crop": Metric(("consistency", "crop", "percent"), "S-Cons", "%", 1, "high"),
    "subpixel": Metric(("consistency", "subpixel", "percent"), "HP-Cons", "%", 1, "high"),
    "worst": Metric(("worst_case", "percent"), "worst of ±8 px", "%", 1, "high", "worst_case"),
    "zoom_kept": Metric(("zoom", "kept"), "top-1 kept under zoom", "%", 1, "high", "zoom"),
    **{
        f"zoom_{zoom:g}": Metric(
            ("zoom", "top1", f"{zoom:g}"), f"top-1 at zoom {zoom:g}", "%", 1, "high", "zoom"
        )
        for zoom in ZOOMS
    },
    "lipschitz": Metric(("lipschitz", "relative"), "‖J‖‖x‖/‖f‖", "", 1, "low"),
    **{
        name: Metric(path, title, "%", 1, "high", task="segmentation")
        for name, path, title in (
            ("miou", ("miou",), "mIoU"),
            ("pixels", ("pixels", "all"), "pixels right"),
            ("edges", ("pixels", "edges"), "right near borders"),
            *((f"kept_{s}", ("kept", str(s)), f"kept at {s} px of crop") for s in SHIFTS),
        )
    },
    "parameters": Metric(("cost", "parameters"), "parameters", "", 0, "", task=""),
    "macs": Metric(("cost", "macs"), "MACs", "", 0, "", task=""),
}

# What a study is decided by, and what stands beside it, by task.
DECIDING = {"classification": ("top1", "crop"), "segmentation": ("miou", "edges")}


@dataclass(frozen=True)
class StudySummary:
    """What the report and the records are made from.

    Attributes:
        study: its name.
        question: its question.
        baseline: variant that others are compared with.
        contrasts: the pairs that differ in one field, with that field.
        seeds: of the complete runs of each variant, in order.
        applied: variant → the variant whose weights it has, for what was put on after training.
        pictured: variants that figures with a row or a bar each show.
        metrics: variant → metric → statistic over seeds.
        sensitivity: variant → shift model → shift in pixels → statistic; of classification.
        turnover: variant → shift model → statistic, percent of tokens a 1-px shift changes; of
            classification.
        latency: variant → time as a multiple of the baseline's; empty if not measured.
        timed_batch: crops in the batch that was timed; 0 if none was.
        configs: variant → configuration as plain data.
        environment: of the first run.
        core_minutes: that its runs took on CPUs in their last attempts, training and measuring:
            for each variant the median over seeds times their number, since a machine that was
            suspended counts for nothing. Weights taken from another run cost nothing. 0 on a GPU,
            and in old records.
        failed: run → reason.
        missing: runs that are neither complete nor failed.
    """

    study: str
    question: str
    baseline: str
    contrasts: tuple[tuple[str, str, str], ...]
    seeds: dict[str, tuple[int, ...]]
    applied: dict[str, str]
    pictured: tuple[str, ...]
    metrics: dict[str, dict[str, Statistic]]
    sensitivity: dict[str, dict[str, dict[float, Statistic]]]
    turnover: dict[str, dict[str, Statistic]]
    latency: dict[str, float]
    timed_batch: int
    configs: dict[str, Any]
    environment: dict[str, Any]
    core_minutes: float
    failed: dict[str, str]
    missing: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """Those with at least one complete run, in the study's order."""
        return tuple(self.metrics)

    @property
    def task(self) -> str:
        """Of all variants; records of before there were several are of classification."""
        task: str = self.configs[self.variants[0]].get("task", "classification")
        return task

    @property
    def trained(self) -> tuple[str, ...]:
        """The variants that were trained as they are."""
        return tuple(name for name in self.variants if name not in self.applied)

    def paired_difference(self, variant: str, baseline: str, metric: str) -> Statistic | None:
        """Variant minus baseline in a metric, seed by seed; None without common seeds."""
        if variant not in self.metrics or baseline not in self.metrics:
            return None
        own, other = self.metrics[variant][metric], self.metrics[baseline][metric]
        return self._paired(variant, own, baseline, other)

    def paired_sensitivity(
        self, variant: str, baseline: str, kind: str, shift: float
    ) -> Statistic | None:
        """The same for the sensitivity to one shift."""
        if variant not in self.metrics or baseline not in self.metrics:
            return None
        own, other = (self.sensitivity[name][kind][shift] for name in (variant, baseline))
        return self._paired(variant, own, baseline, other)

    def _paired(
        self, variant: str, own: Statistic, baseline: str, other: Statistic
    ) -> Statistic | None:
        at = dict(zip(self.seeds[variant], own.values, strict=True))
        base = dict(zip(self.seeds[baseline], other.values, strict=True))
        common = [seed for seed in at if seed in base]
        return Statistic.of([at[seed] - base[seed] for seed in common]) if common else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: small enough to be kept as a record."""

        def plain(value: Any) -> Any:
            if isinstance(value, Statistic):
                return list(value.values)  # mean and deviation follow
            if isinstance(value, Mapping):
                return {str(key): plain(item) for key, item in value.items()}
            return [plain(item) for item in value] if isinstance(value, tuple) else value

        return {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StudySummary:
        """The summary that `to_dict` wrote, or one with mean and deviation beside the values.
        Records of before a field came have it empty."""

        def statistic(value: Any) -> Statistic:
            return Statistic.of(value["values"] if isinstance(value, Mapping) else value)

        def statistics(values: Mapping[str, Any]) -> dict[str, Statistic]:
            return {name: statistic(value) for name, value in values.items()}

        return cls(
            study=data["study"],
            question=data["question"],
            baseline=data["baseline"],
            contrasts=tuple((c[0], c[1], c[2]) for c in data["contrasts"]),
            seeds={name: tuple(seeds) for name, seeds in data["seeds"].items()},
            applied=dict(data.get("applied", {})),
            pictured=tuple(data.get("pictured", data["metrics"])),
            metrics={name: statistics(values) for name, values in data["metrics"].items()},
            sensitivity={
                name: {
                    kind: {_pixels(shift): statistic(value) for shift, value in curve.items()}
                    for kind, curve in curves.items()
                }
                for name, curves in data["sensitivity"].items()
            },
            turnover={name: statistics(values) for name, values in data["turnover"].items()},
            latency=dict(data["latency"]),
            timed_batch=data.get("timed_batch", 0),
            configs=dict(data["configs"]),
            environment=dict(data["environment"]),
            core_minutes=data.get("core_minutes", 0.0),
            failed=dict(data["failed"]),
            missing=tuple(data["missing"]),
        )


def _pixels(text: str) -> float:
    """A shift as it was before JSON made it a key: whole ones are integers."""
    return int(text) if text.isdigit() else float(text)


def _found_seeds(folder: StudyFolder, variant: str) -> list[tuple[int, RunFolder]]:
    parent = folder.run(variant, 0).path.parent
    numbers = [path.name.removeprefix("seed") for path in parent.glob("seed*")]
    return [(seed, folder.run(variant, seed)) for seed in sorted(int(n) for n in numbers)]


def summarize(study: Study, folder: StudyFolder) -> StudySummary:
    """Reads all runs that a study's folder holds.

    Raises:
        ValueError: no folder of this study there, or not one complete run in it.
    """
    if not folder.identity.exists():
        fail("out", f"a study's folder (made by: {study.command()})", folder.path)
    folder.claim()
    configs = study.configs()
    seeds: dict[str, tuple[int, ...]] = {}
    results: dict[str, list[dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    missing: list[str] = []
    environment: dict[str, Any] = {}
    for variant in configs:
        complete = []
        for seed, run in _found_seeds(folder, variant):
            label = f"{variant}, seed {seed}"
            if run.complete(study.measures):
                complete.append((seed, json.loads(run.result.read_text())))
                environment = environment or json.loads(run.environment.read_text())
            elif run.failed.exists():
                failure = json.loads(run.failed.read_text())
                failed[label] = f"{failure['error']}: {failure['message']}"
            else:
                missing.append(label)
        if complete:
            seeds[variant] = tuple(seed for seed, _ in complete)
            results[variant] = [result for _, result in complete]
    if not results:
        fail("out", "at least one complete run", f"none in {folder.path}")
    task = configs[study.baseline].task
    timed = json.loads(folder.latency.read_text()) if folder.latency.exists() else {}
    latency = timed.get("ratios", {})
    return StudySummary(
        study=study.name,
        question=study.question,
        baseline=study.baseline,
        contrasts=tuple((c.variant, c.baseline, c.field) for c in study.contrasts),
        seeds=seeds,
        applied={name: source for name, source in study.applied.items() if name in results},
        pictured=tuple(name for name in study.pictured or configs if name in results),
        metrics={
            variant: {
                name: Statistic.of([metric.of(result) for result in runs])
                for name, metric in METRICS.items()
                if metric.measure in ("", *study.measures) and metric.task in ("", task)
            }
            for variant, runs in results.items()
        },
        sensitivity={variant: _sensitivity(runs) for variant, runs in results.items()},
        turnover={
            variant: {
                kind: Statistic.of([run["turnover"][kind]["percent"] for run in runs])
                for kind in runs[0].get("turnover", ())
            }
            for variant, runs in results.items()
        },
        latency={name: ratio for name, ratio in latency.items() if name in results},
        timed_batch=timed["batch"][0] if timed else 0,
        configs={name: configs[name].to_dict() for name in results},
        environment=environment,
        core_minutes=_core_minutes(results, environment),
        failed=failed,
        missing=tuple(missing),
    )


def _core_minutes(
    results: Mapping[str, list[dict[str, Any]]], environment: Mapping[str, Any]
) -> float:
    if environment["device"] != "cpu":
        return 0.0
    seconds = [
        len(runs) * median(sum(run["seconds"].values()) for run in runs)
        for runs in results.values()
    ]
    return round(sum(seconds) * environment["threads"] / 60, 1)


def _sensitivity(runs: list[dict[str, Any]]) -> dict[str, dict[float, Statistic]]:
    return {
        kind: {
            shift: Statistic.of([run["sensitivity"][kind]["values"][i] for run in runs])
            for i, shift in enumerate(curve["shifts"])
        }
        for kind, curve in runs[0].get("sensitivity", {}).items()
    }
