"""Compares the speed targets with the records: ``python -m experiments bench speed_targets``.

Question: which of the speed targets are reached? One table has a row for each of them: before, the
target, and what the records say now. The command times nothing. It takes the figures "before" of
the audit, the study `patch_vs_wavelet` and the transforms from the records of commit bcf572c, which
git has, and writes them to experiments/records/targets/before.json. The other figures stand in the
present records, so the table on docs/speed-targets.md follows them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.benchmarks.filters import TARGETS as FACTORS
from experiments.benchmarks.training_steps import TARGETS
from experiments.core.benchmark import Benchmark, BenchmarkOptions
from experiments.core.experiment import DOCS, View
from experiments.core.records import RECORDS, read_json, seconds_taken
from experiments.core.table import Table
from wavevit.checks import fail

_COMMIT = "bcf572c"
_AUDIT, _ABLATION = "audit/audit.json", "patch_vs_wavelet/summary.json"
_STEPS, _LEDGER = "latency/training_steps.json", "claims/run.json"
_FILTERS, _DIMENSIONS = "transforms/filters.json", "transforms/dimensions.json"
_RECORD = "targets/before.json"
_TRAINING, _TRANSFORMS = "training-speed.md", "transforms-speed.md"


@dataclass
class Options(BenchmarkOptions):
    """Compare the speed targets with the records; nothing is timed."""

    commit: str = _COMMIT
    """The state "before"."""


@dataclass(frozen=True)
class Row:
    """A target and what is known of it.

    Attributes:
        what: it is about, with its unit.
        before: the figure of the commit before; None where no record has it.
        target: to reach.
        reached: by the present record; None where there is none.
        least: whether the target is a lower bound.
        page: that explains the figure.
        decimals: of the figures.
    """

    what: str
    before: float | None
    target: float
    reached: float | None
    page: str
    least: bool = False
    decimals: int = 2

    def met(self) -> str:
        """Whether the figure reaches the target, as the table says it."""
        if self.reached is None:
            return "no record"
        figure, target = round(self.reached, self.decimals), round(self.target, self.decimals)
        return "yes" if (figure >= target if self.least else figure <= target) else "**no**"

    def cells(self) -> tuple[str, ...]:
        """Of the table."""

        def text(figure: float | None) -> str:
            return "–" if figure is None else f"{figure:.{self.decimals}f}"

        sign = "≥" if self.least else "≤"
        target = f"{sign} {text(self.target)}"
        page = f"[{self.page.removesuffix('.md')}]({self.page})"
        return self.what, text(self.before), target, text(self.reached), self.met(), page


def seconds_of_audit(record: Mapping[str, Any]) -> dict[str, float]:
    """Of each section, for all models together."""
    found: dict[str, float] = {}
    for sections in record["timings"]["seconds"].values():
        for section, seconds in sections.items():
            found[section] = found.get(section, 0.0) + seconds
    return found


def measure(options: Options, records: Path = RECORDS) -> dict[str, Any]:
    """The figures "before" that no present record holds.

    Args:
        options: the command line's.
        records: folder of the records, in a clone.

    Raises:
        ValueError: a commit that git does not have here, or one without these records.
    """

    def record(path: str) -> dict[str, Any]:
        name = f"{options.commit}:experiments/records/{path}"
        command = ["git", "-C", str(records), "show", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        if shown.returncode:
            fail("commit", f"a commit of this clone with {path}", shown.stderr.strip())
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    ablation = record(_ABLATION)
    return {
        "commit": options.commit,
        "audit_seconds": {
            section: round(seconds, 1)
            for section, seconds in seconds_of_audit(record(_AUDIT)).items()
        },
        "ablation_core_minutes": ablation["core_minutes"],
        "ablation_device": ablation["environment"]["device_name"],
        "lowest_factors": _lowest_factors(record(_FILTERS)["cells"]),
    }


def _of_training(now: Mapping[str, Any]) -> Iterator[Row]:
    models, earlier = now["models"], now["before"]["models"]
    for name, targets in TARGETS.items():
        for kind, target in zip(("forward", "step"), targets, strict=True):
            if target is not None:
                what = {"forward": "forward pass", "step": "training step"}[kind]
                side, reference = models[name]["side"], models[name]["reference"]
                yield Row(
                    f"`{name}`, {what}, over `{reference}`, {side} px",
                    earlier[name][kind]["1"],
                    target,
                    models[name][kind]["1"],
                    _TRAINING,
                )
    name = "haar_pyramid_small"
    held = earlier[name]["held"], 0.8, models[name]["held"]
    yield Row(f"`{name}`, memory held for the gradient, over ViT-S", *held, _TRAINING)
    held = now["before"]["scattering2_images"], 4.0, now["scattering2_images"]
    yield Row("`scattering2` with gradient, images held beside its own", *held, _TRAINING)


def _lowest_factors(filters: list[dict[str, Any]]) -> dict[str, float | None]:
    """How many times faster than the best library, in the worst case of each target."""
    return {name: min(target.factors(filters), default=None) for name, target in FACTORS.items()}


def _of_transforms(
    before: Mapping[str, float | None], filters: list[dict[str, Any]], more: list[dict[str, Any]]
) -> Iterator[Row]:
    lowest = _lowest_factors(filters)
    for name, target in FACTORS.items():
        mode = "compiled" if target.contender.endswith("compiled") else "eager"
        passes = f", {target.passes[0]}" if len(target.passes) == 1 else ""
        what = f"{target.what}: times faster than the best library, {mode}{passes}, lowest"
        yield Row(what, before.get(name), target.least, lowest[name], _TRANSFORMS, least=True)
    for wavelet, least in (("haar", 3.0), ("db4", 2.0)):
        found = [
            cell["times_faster_than_best_library"]
            for cell in more
            if cell["wavelet"] == wavelet and cell["threads"] == 1
        ]
        what = f"signals and volumes, {wavelet}: times faster than the best library, eager, lowest"
        yield Row(what, None, least, min(found), _TRANSFORMS, least=True)


def _of_commands(before: Mapping[str, Any], records: Path) -> Iterator[Row]:
    first = sum(before["audit_seconds"].values())
    now = sum(seconds_of_audit(read_json(records / _AUDIT)).values())
    what = "audit of the four models of its record, s on two threads"
    yield Row(what, first, first / 6, now, "speed-targets.md", decimals=0)
    first = before["ablation_core_minutes"] / 2
    seconds = seconds_taken(read_json(records / _ABLATION), cores=2)
    minutes = None if seconds is None else seconds / 60
    what = "`make ablation`, minutes on two cores"
    yield Row(what, first, 0.6 * first, minutes, _TRAINING, decimals=1)
    ledger = read_json(records / _LEDGER)
    names = ledger_studies(ledger)
    then = sum(ledger["commands"][command] for command in names.values()) / 60
    taken = [seconds_taken(read_json(records / name / "summary.json"), 2) for name in names]
    same = sum(seconds for seconds in taken if seconds is not None) / 60
    whole = ledger["seconds"] / 60
    yield Row("ledger from nothing, one command, minutes", whole, 90, None, _TRAINING, decimals=0)
    what = f"– its {len(names)} studies of then, from the record of each, minutes"
    yield Row(what, then, 90, same, _TRAINING, decimals=0)


def ledger_studies(ledger: Mapping[str, Any]) -> dict[str, str]:
    """By study, the command of a run of the whole ledger that trained it."""
    return {
        command.split()[-1]: command
        for command in ledger["commands"]
        if "experiments.run" in command
    }


def rows(before: Mapping[str, Any], records: Path = RECORDS) -> list[Row]:
    """All targets for CPUs that records can answer."""
    filters = read_json(records / _FILTERS)["cells"]
    dimensions = read_json(records / _DIMENSIONS)["cells"]
    return [
        *_of_commands(before, records),
        *_of_training(read_json(records / _STEPS)),
        *_of_transforms(before["lowest_factors"], filters, dimensions),
    ]


def render(before: Mapping[str, Any], records: Path = RECORDS) -> str:
    """The table, and how many of its targets are reached."""
    found = rows(before, records)
    head = ("what", "before", "target", "reached", "is it reached?", "explained in")
    table = Table(head, [row.cells() for row in found]).markdown()
    met = [row.met() for row in found]
    counts = f"{met.count('yes')} of these {len(met)} targets are reached"
    where = read_json(records / _ABLATION)["environment"]["device_name"]
    processors = f"{before['ablation_device']} before, {where} now"
    return f"{table}\n\n{counts}. Processors of `make ablation`: {processors}."


def render_audit(before: Mapping[str, Any], records: Path = RECORDS) -> str:
    """Where the time of the audit goes, section by section."""
    now = seconds_of_audit(read_json(records / _AUDIT))
    then = before["audit_seconds"]
    rows = [
        [
            section.replace("_", " "),
            f"{then[section]:.0f}" if section in then else "–",
            f"{seconds:.0f}",
        ]
        for section, seconds in sorted(now.items(), key=lambda item: -item[1])
    ]
    return Table(("section", "before, s", "now, s"), rows).markdown()


BENCHMARK = Benchmark(
    name="speed_targets",
    question="Which speed targets are reached?",
    measure=lambda options, save: measure(options),
    records={_RECORD: ""},
    shown=lambda record: (
        View(DOCS / "speed-targets.md", render, "targets"),
        View(DOCS / "speed-targets.md", render_audit, "audit"),
    ),
    command_line=Options,
)
