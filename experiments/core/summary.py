"""The summary of a study: means, standard deviations and paired differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cattrs.gen import make_dict_structure_fn, override

from experiments.core.conversion import converter
from experiments.core.crop_shifts import SHIFTS
from experiments.core.statistic import Statistic
from experiments.core.task_headings import task_heading
from experiments.core.zoom import ZOOMS
from wavevit.tasks import TASKS


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        path: keys into ``result.json``: to a number, or to numbers whose mean it is.
        title: head of the column.
        unit: behind the title, empty for a pure number.
        digits: decimals shown; None: one for values from 10, three below, and fewer where the first
            figure of the standard deviation comes earlier.
        better: ``"high"``, ``"low"`` or ``""``.
        measure: which of `experiments.core.evaluation.MEASURES` it is of; empty for a standard one.
        task: that has it; empty for all of them.
        count: it counts things, which may be the same number for every seed.
    """

    path: tuple[str, ...]
    title: str
    unit: str
    digits: int | None
    better: str
    measure: str = ""
    task: str = "classification"
    count: bool = False

    @property
    def heading(self) -> str:
        """Title with the unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, statistic: Statistic) -> str:
        """``mean ± std`` in this column; the mean alone for one seed.

        No more decimals than the spread over seeds supports.

        A count that is the same for every seed has no spread: ``64``, or ``33.4`` for a mean.
        """
        if self.count and statistic.std == 0:
            whole = all(float(value).is_integer() for value in statistic.values)
            return f"{statistic.mean:.{0 if whole else self.decimals(statistic.mean)}f}"
        digits = self.decimals(statistic.mean)
        if self.digits is None and statistic.std > 0:
            digits = min(digits, max(1, math.ceil(-math.log10(statistic.std))))
        return statistic.shown(digits)

    def decimals(self, value: float) -> int:
        """Decimals of a value in this column."""
        if self.digits is None:
            return 1 if abs(value) >= 10 else 3
        return self.digits

    def of(self, result: Mapping[str, Any]) -> float:
        """Its value in one run's result."""
        value: Any = result
        for key in self.path:
            value = value[key]
        return fmean(value.values()) if isinstance(value, Mapping) else float(value)


METRICS = {
    "top1": Metric(("top1",), "top-1", "%", 1, "high"),
    "balanced": Metric(("top1_by_class",), "balanced accuracy", "%", 1, "high"),
    "circular": Metric(("consistency", "circular", "percent"), "C-Cons", "%", 1, "high"),
    "crop": Metric(("consistency", "crop", "percent"), "S-Cons", "%", 1, "high"),
    "subpixel": Metric(("consistency", "subpixel", "percent"), "HP-Cons", "%", 1, "high"),
    "worst": Metric(("worst_case", "percent"), "worst of ±8 px", "%", 1, "high", "worst_case"),
    "tokens": Metric(("tokens", "mean"), "tokens", "", 1, "", "tokens", count=True),
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
    **{
        f"jitter_{s}": Metric(
            ("mask_jitter", str(s)),
            f"border shift at {s} px",
            "px",
            None,
            "low",
            measure="mask_jitter",
            task="segmentation",
        )
        for s in SHIFTS
    },
    "parameters": Metric(("cost", "parameters"), "parameters", "", 0, "", task=""),
    "macs": Metric(("cost", "macs"), "MACs", "", 0, "", task=""),
}

# Scores that decide, of the tasks that have two.
_DECIDING = {"classification": ("top1", "crop"), "segmentation": ("miou", "edges")}


def deciding(task: str) -> tuple[str, ...]:
    """Metrics that a study of this task is decided by: the score first."""
    return _DECIDING.get(task, (TASKS.get(task).score,))


def metrics_of(task: str, result: Mapping[str, Any]) -> dict[str, Metric]:
    """Metrics of a run's result by name: those of `METRICS`, or the task's own.

    Args:
        task: name of the task.
        result: plain data from ``result.json``.
    """
    own: dict[str, tuple[str, ...]] = {
        name: ("metrics", name) for name in result.get("metrics", ())
    }
    for name, values in result.get("shifts", {}).items():
        own |= {f"{name} at {pixels} px": ("shifts", name, pixels) for pixels in values}
    named = {
        name: metric
        for name, metric in METRICS.items()
        # Old runs lack some; so do tasks on data with other metrics, and crops with small margins.
        if metric.task in ("", task) and _has(result, metric.path)
    }
    return {name: _own_metric(task, name, path) for name, path in own.items()} | named


def _has(result: Mapping[str, Any], path: Sequence[str]) -> bool:
    value: Any = result
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _own_metric(task: str, name: str, path: tuple[str, ...]) -> Metric:
    kind, better = TASKS.get(task), ""
    if name == kind.score:
        better = "high" if kind.higher_is_better else "low"
    title, unit = _split(task_heading(task, name))
    return Metric(path, title, unit, None, better, task=task)


def _split(heading: str) -> tuple[str, str]:
    """Title and unit."""
    title, _, unit = heading.rpartition(", ")
    return (title, unit) if title and unit in ("%", "px") else (heading, "")


def metric_named(task: str, name: str) -> Metric:
    """The column of a metric in a summary of this task."""
    known = METRICS.get(name)
    return known if known and known.task in ("", task) else _own_metric(task, name, ())


def pixels(shift: float) -> str:
    """A shift as text: ``"½"`` or ``"4"``."""
    return "½" if shift == 0.5 else f"{shift:g}"


@dataclass(frozen=True)
class StudySummary:
    """What the report and the records are made from.

    Attributes:
        study: its name.
        question: its question.
        baseline: variant that others are compared with.
        contrasts: the pairs that differ in one field, with that field.
        seeds: of the complete runs of each variant, in order.
        applied: variant → the variant whose weights it has, for alignments added after training.
        pictured: variants that figures with a row or a bar each show.
        metrics: variant → metric → statistic over seeds.
        sensitivity: variant → shift model → shift in pixels → statistic; of classification.
        turnover: variant → shift model → statistic, percent of tokens a 1-px shift changes; of
            classification.
        budgets: variant → token budget → ``"top1"`` and ``"tokens"`` of the trained model with that
            budget; of adaptive tokenizers, where the study measures ``"tokens"``.
        latency: variant → time as a multiple of the baseline's; empty if not measured.
        timed_batch: crops in the batch that was timed; 0 if none was.
        configs: variant → configuration as plain data.
        environment: of the first run.
        core_minutes: that its runs took on CPUs in their last attempts, training and measuring:
            for each variant the median over seeds times their number, since a machine that was
            suspended counts for nothing. Weights taken from another run cost nothing. 0 on a GPU,
            and in old records. With the trainings that chose the rates.
        rates: variant → peak learning rate in words → score on validation data, for a study that
            chooses its rates (`experiments.core.rate_choice`); the one that was taken is in
            `configs`.
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
    budgets: dict[str, dict[str, dict[str, Statistic]]]
    latency: dict[str, float]
    timed_batch: int
    configs: dict[str, Any]
    environment: dict[str, Any]
    core_minutes: float
    rates: dict[str, dict[str, float]]
    failed: dict[str, str]
    missing: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """Those with at least one complete run, in the study's order."""
        return tuple(self.metrics)

    @property
    def task(self) -> str:
        """Of all variants."""
        task: str = self.configs[self.variants[0]]["task"]
        return task

    @property
    def deciding(self) -> tuple[str, ...]:
        """The metrics that decide (`deciding`), as far as it has them."""
        found = self.metrics[self.variants[0]]
        return tuple(name for name in deciding(self.task) if name in found)

    @property
    def on_composites(self) -> bool:
        """Whether it is about segmentation of composites, which has measures of its own."""
        return self.task == "segmentation" and "edges" in self.metrics[self.variants[0]]

    @property
    def trained(self) -> tuple[str, ...]:
        """The variants that were trained as they are."""
        return tuple(name for name in self.variants if name not in self.applied)

    def paired_difference(self, variant: str, baseline: str, metric: str) -> Statistic | None:
        """Variant minus baseline in a metric, seed by seed; None without common seeds."""
        if variant not in self.metrics or baseline not in self.metrics:
            return None
        own, other = self.metrics[variant][metric], self.metrics[baseline][metric]
        unit = metric_named(self.task, metric).unit
        return self._paired(variant, own, baseline, other, unit)

    def paired_sensitivity(
        self, variant: str, baseline: str, kind: str, shift: float
    ) -> Statistic | None:
        """The same for the sensitivity to one shift."""
        if variant not in self.metrics or baseline not in self.metrics:
            return None
        own, other = (self.sensitivity[name][kind][shift] for name in (variant, baseline))
        return self._paired(variant, own, baseline, other, unit="")

    def _paired(
        self, variant: str, own: Statistic, baseline: str, other: Statistic, unit: str
    ) -> Statistic | None:
        at = dict(zip(self.seeds[variant], own.values, strict=True))
        base = dict(zip(self.seeds[baseline], other.values, strict=True))
        common = [seed for seed in at if seed in base]
        if not common:
            return None
        values, others = ([held[seed] for seed in common] for held in (at, base))
        return Statistic.paired(values, others, unit)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: small enough to be kept as a record."""
        plain: dict[str, Any] = converter.unstructure(self)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StudySummary:
        """The summary that `to_dict` wrote; records of before have no rates and no budgets."""
        return converter.structure({"rates": {}, "budgets": {}, **data}, cls)


def _pixels(text: str) -> float:
    """A shift as it was before JSON made it a key: whole ones are integers."""
    return int(text) if text.isdigit() else float(text)


def _curves(data: Mapping[str, Any], _: object) -> dict[str, dict[str, dict[float, Statistic]]]:
    """Sensitivities, whose keys JSON made texts."""

    def curve(values: Mapping[str, Any]) -> dict[float, Statistic]:
        found = {_pixels(str(key)): value for key, value in values.items()}
        return {shift: converter.structure(found[shift], Statistic) for shift in found}

    return {name: {kind: curve(own[kind]) for kind in own} for name, own in data.items()}


converter.register_unstructure_hook(Statistic, lambda statistic: list(statistic.values))
converter.register_structure_hook(Statistic, lambda values, _: Statistic.of(values))
converter.register_structure_hook(
    StudySummary,
    make_dict_structure_fn(StudySummary, converter, sensitivity=override(struct_hook=_curves)),
)
