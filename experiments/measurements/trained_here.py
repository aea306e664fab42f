"""Trained models for a measurement: runs of its own folder, trained where they are missing."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from experiments.core.config import RunConfig
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.job import Job
from experiments.core.records import environment, write_json
from experiments.core.reuse import reuse_equal_runs
from experiments.core.training import train
from wavevit.tasks import Task

__all__ = ["side_by_side", "task_of", "trained_here"]

_CPU = torch.device("cpu")
Argument = TypeVar("Argument")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Argument], Result], arguments: Sequence[Argument]
) -> list[Result]:
    """`function` of each argument, one process with one thread for each core.

    Args:
        function: of a module, so that processes can import it.
        arguments: the longest first.
    """
    workers = max(min(len(arguments), len(os.sched_getaffinity(0))), 1)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        return list(pool.map(function, arguments))


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
        side_by_side(_train, waiting)
    return {(job.variant, job.seed): job.folder.path for job in jobs}


def _train(path: Path) -> None:
    run = RunFolder(path)
    with run.locked():
        if not run.environment.exists():
            write_json(run.environment, environment(_CPU, 1))
        train(run.load_config(), run, _CPU, label=f"{path.parent.name}, {path.name}")


def task_of(path: Path) -> Task:
    """The trained task in a run's folder, in eval mode."""
    run = RunFolder(path)
    return train(run.load_config(), run, _CPU).eval()  # complete weights are loaded
