"""Trained models for a measurement: runs of its own folder, trained where they are missing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import TypeVar

import torch

from experiments.core.config import RunConfig
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.job import Job, note_environment
from experiments.core.process_pool import process_pool
from experiments.core.records import environment
from experiments.core.reuse import reuse_equal_runs
from experiments.core.training import train
from wavevit.progress import Progress
from wavevit.tasks import Task

_CPU = torch.device("cpu")
Argument = TypeVar("Argument")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Argument], Result],
    arguments: Sequence[Argument],
    name: Callable[[Argument], str],
    *,
    work: Callable[[Argument], float] = lambda argument: 1.0,
    bar: bool = True,
) -> list[Result]:
    """`function` of each argument, one process with one thread for each core.

    Args:
        function: of a module, so that processes can import it.
        arguments: the longest first.
        name: of an argument, in the lines that show progress.
        work: of an argument, for the estimate of the time left; only ratios count.
        bar: as in `wavevit.progress.Progress`.
    """
    workers = max(min(len(arguments), len(os.sched_getaffinity(0))), 1)
    print(f"{len(arguments)} steps in {workers} processes", flush=True)
    with (
        Progress([work(argument) for argument in arguments], bar=bar) as progress,
        process_pool(workers, threads=1) as pool,
    ):
        calls = {pool.submit(function, each): index for index, each in enumerate(arguments)}
        try:
            for call in as_completed(calls):
                call.result()
                progress.ended(calls[call], name(arguments[calls[call]]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [call.result() for call in calls]


def trained_here(
    runs: Path, name: str, configs: Mapping[str, RunConfig], seeds: Sequence[int]
) -> dict[tuple[str, int], Path]:
    """Folders of trained runs of a measurement, by variant and seed.

    Equal runs of studies beside it (same configuration, code and machine) give their weights; what
    is left is trained here, on the CPU. Complete weights are kept, and a killed training resumes.

    Args:
        runs: folder of the studies' folders.
        name: of the measurement: its folder in `runs`.
        configs: by variant, seed left at 0.
        seeds: of each variant.
    """
    folder = StudyFolder(runs / name, name)
    folder.claim()
    jobs = []
    for seed in seeds:
        for variant, config in configs.items():
            run = folder.run(variant, seed)
            run.claim(dataclasses.replace(config, seed=seed))
            jobs.append(Job(variant, seed, run))
    reuse_equal_runs(jobs, folder, environment(_CPU, 1))  # a study's runs have one thread each
    waiting = [job.folder.path for job in jobs if not job.folder.weights.exists()]
    if waiting:
        print(f"Training {len(waiting)} of {len(jobs)} runs → {folder.path}", flush=True)
        # Each training draws a bar of its own on a terminal.
        side_by_side(_train, waiting, _label, bar=False)
    return {(job.variant, job.seed): job.folder.path for job in jobs}


def _label(path: Path) -> str:
    return f"{path.parent.name}, {path.name}"


def _train(path: Path) -> None:
    run = RunFolder(path)
    with run.locked():
        if not (run.weights.exists() and run.environment.exists()):
            note_environment(run, environment(_CPU, 1), _label(path))
        train(run.load_config(), run, _CPU, label=_label(path))


def task_of(path: Path) -> Task:
    """The trained task in a run's folder, in eval mode."""
    run = RunFolder(path)
    return train(run.load_config(), run, _CPU).eval()  # complete weights are loaded
