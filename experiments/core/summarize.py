"""From the runs in a study's folder to its summary."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

from experiments.core.config import RunConfig, differing_fields
from experiments.core.data_choice import without_folders
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.records import read_json
from experiments.core.statistic import Statistic
from experiments.core.summary import Metric, StudySummary, metrics_of
from wavevit.checks import fail

if TYPE_CHECKING:
    from experiments.core.study import Study


def _found_seeds(folder: StudyFolder, variant: str) -> list[tuple[int, RunFolder]]:
    parent = folder.run(variant, 0).path.parent
    numbers = [path.name.removeprefix("seed") for path in parent.glob("seed*")]
    seeds = sorted(int(number) for number in numbers if number.isdecimal())  # no "seed0 (copy)"
    return [(seed, folder.run(variant, seed)) for seed in seeds]


def summarize(study: Study, folder: StudyFolder) -> StudySummary:
    """Reads all runs that a study's folder holds.

    Raises:
        ValueError: no folder of this study there, not one complete run in it, or a complete run
            whose configuration is no longer that of its variant.
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
                _check_made_by(run, configs[variant], seed)
                complete.append((seed, read_json(run.result)))
                environment = environment or read_json(run.environment)
            elif run.failed.exists():
                failure = read_json(run.failed)
                failed[label] = f"{failure['error']}: {failure['message']}"
            else:
                missing.append(label)
        if complete:
            seeds[variant] = tuple(seed for seed, _ in complete)
            results[variant] = [result for _, result in complete]
    if not results:
        fail("out", "at least one complete run", f"none in {folder.path}")
    task = configs[study.baseline].task
    columns = _common_metrics(task, [result for runs in results.values() for result in runs])
    timed = read_json(folder.latency) if folder.latency.exists() else {}
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
                for name, metric in columns.items()
                if metric.measure in ("", *study.measures)
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
        budgets={
            variant: swept for variant, runs in results.items() if (swept := swept_budgets(runs))
        },
        latency={name: ratio for name, ratio in latency.items() if name in results},
        timed_batch=timed["batch"][0] if timed else 0,
        configs={name: configs[name].to_dict() for name in results},
        environment=environment,
        core_minutes=_core_minutes(results, environment, study.chosen.core_minutes),
        rates=study.chosen.scores,
        failed=failed,
        missing=tuple(missing),
    )


def codes_of_runs(study: Study, folder: StudyFolder) -> dict[str, list[str]]:
    """Labels of runs with a result, by the digest of the code that trained them; ``"A, then B"``
    for those that were resumed with other code."""
    found: dict[str, list[str]] = {}
    for variant in study.configs():
        for seed, run in _found_seeds(folder, variant):
            if variant in study.applied or not (run.environment.exists() and run.result.exists()):
                continue
            environment = read_json(run.environment)
            digests = [part["code"] for part in environment.get("earlier", ()) if "code" in part]
            # Runs of the first versions do not note their code.
            names = [digest or "unknown" for digest in (*digests, environment.get("code"))]
            found.setdefault(", then ".join(names), []).append(f"{variant}, seed {seed}")
    return found


def _check_made_by(run: RunFolder, config: RunConfig, seed: int) -> None:
    """Refuses a run of a variant that was changed since: its figures would be shown as those of
    the variant of now. Folders of pictures may be elsewhere (`without_folders`), and the parts of a
    batch are an option of the command that runs."""
    here, held = (
        json.loads(json.dumps(without_folders(one.to_dict())))
        for one in (dataclasses.replace(config, seed=seed), run.load_config())
    )
    differing = differing_fields(held, here)
    run.refuse([path for path in differing if path != "execution.accumulate"])


def _common_metrics(task: str, results: list[dict[str, Any]]) -> dict[str, Metric]:
    """Metrics that every run has: one that a run's held-out crops do not define is left out.

    Balanced accuracy is left out where it is the top-1 of every run, to the digits of a table:
    classes of almost equal size.
    """
    first, *others = (metrics_of(task, result) for result in results)
    common = {name: metric for name, metric in first.items() if all(name in o for o in others)}
    if "balanced" in common and not any(
        _differ(common["balanced"].of(result), common["top1"].of(result)) for result in results
    ):
        del common["balanced"]
    return common


def _differ(one: float, other: float) -> bool:
    """By as much as a table shows, in percent."""
    return abs(one - other) >= 0.05


def _core_minutes(
    results: Mapping[str, list[dict[str, Any]]], environment: Mapping[str, Any], before: float
) -> float:
    if environment["device"] != "cpu":
        return 0.0
    seconds = [
        len(runs) * median(sum(run["seconds"].values()) for run in runs)
        for runs in results.values()
    ]
    return round(before + sum(seconds) * environment["threads"] / 60, 1)


def _sensitivity(runs: list[dict[str, Any]]) -> dict[str, dict[float, Statistic]]:
    return {
        kind: {
            shift: Statistic.of([run["sensitivity"][kind]["values"][i] for run in runs])
            for i, shift in enumerate(curve["shifts"])
        }
        for kind, curve in runs[0].get("sensitivity", {}).items()
    }


def swept_budgets(runs: list[dict[str, Any]]) -> dict[str, dict[str, Statistic]]:
    """Top-1 and tokens by budget, of the measure ``"tokens"``; empty for a uniform grid."""
    return {
        budget: {
            key: Statistic.of([run["tokens"]["by_budget"][budget][key] for run in runs])
            for key in found
        }
        for budget, found in runs[0].get("tokens", {}).get("by_budget", {}).items()
    }
