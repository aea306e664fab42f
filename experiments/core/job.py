"""The jobs of a study: planned, run one by one or side by side, each recorded and failing alone.

A job trains a model, measures it and writes ``result.json`` into its folder.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from experiments.core import evaluation, task_evaluation
from experiments.core.batches import data_report
from experiments.core.checkpoint import load_weights
from experiments.core.cluster import run_on_cluster
from experiments.core.config import RunConfig
from experiments.core.distributed import call_ranks, calls_of_rank_0
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.records import environment, read_json, write_json
from experiments.core.segmentation import measures as segmentation
from experiments.core.side_by_side import Clock, run_side_by_side, take_next
from experiments.core.sources import source_name
from experiments.core.training import AbandonedError, NonFiniteLossError, make_task, train
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.tasks import TASKS, Task
from wavevit.tasks.gathering import alone, rank_and_world

if TYPE_CHECKING:
    from experiments.core.study import Study

# What every rank raises when one does: the group of ranks continues with the next job.
_OF_ALL_RANKS = (NonFiniteLossError, ValueError)
# Every other task is measured by its own metrics (`task_evaluation`), and so is segmentation of
# other data than composites.
_OWN_MEASURES: dict[str, Any] = {"classification": evaluation, "segmentation": segmentation}


@dataclass(frozen=True)
class Job:
    """One variant with one seed, in its folder.

    Attributes:
        variant: its name.
        seed: of the run.
        folder: its files.
        measures: what is measured beside the standard.
        weights_of: the run whose weights are measured; None for a run that trains its own.
        snapshots: steps after which its weights are kept (`experiments.core.snapshots`).
    """

    variant: str
    seed: int
    folder: RunFolder
    measures: tuple[str, ...] = ()
    weights_of: RunFolder | None = None
    snapshots: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.folder.complete(self.measures)

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.variant}, seed {self.seed}"

    def arguments(
        self, device: torch.device, threads: int, position: int = 0
    ) -> tuple[Path, str, int, str, int, tuple[str, ...], Path | None, tuple[int, ...]]:
        """Those of `run_job`, in its order."""
        source = self.weights_of.path if self.weights_of is not None else None
        place = (self.folder.path, str(device), threads, self.label, position)
        return *place, self.measures, source, self.snapshots

    @property
    def outcome(self) -> str:
        """How it ended, for people: its score, or why there is none."""
        if self.complete:
            task = TASKS.get(self.folder.load_config().task)
            result = read_json(self.folder.result)
            value = result.get("metrics", result)[task.score]
            name, percent, _ = task.title.partition(", %")
            return f"{name} {value:.1f} %" if percent else f"{name} {value:.4g}"
        if self.folder.failed.exists():
            failure = read_json(self.folder.failed)
            return f"FAILED, {failure['error']}: {failure['message']}"
        return "stopped"


def plan(
    study: Study, folder: StudyFolder, seeds: Sequence[int], variants: Sequence[str] | None = None
) -> list[Job]:
    """Claims every folder before anything is computed, so that a clash is told at once.

    Seeds are the slow axis: a study that is stopped half-way has all variants with fewer seeds.
    What is applied after training comes after all that is trained.

    Raises:
        ValueError: an unknown variant, no or repeated seeds, or a folder that holds something else.
    """
    configs = study.configs()
    if not seeds or len(set(seeds)) != len(seeds):
        fail("seeds", "at least one, all different", list(seeds))
    for seed in seeds:
        check_at_least("seeds", seed, 0)
    for name in variants or ():
        check_choice("variants", name, configs)
    folder.claim()
    jobs = []
    for seed in seeds:
        for name, config in configs.items():
            if variants and name not in variants:
                continue
            source = study.applied.get(name)
            weights_of = folder.run(source, seed) if source is not None else None
            snapshots = study.snapshot_steps(name, seed)
            job = Job(name, seed, folder.run(name, seed), study.measures, weights_of, snapshots)
            job.folder.claim(dataclasses.replace(config, seed=seed))
            jobs.append(job)
    return sorted(jobs, key=lambda job: job.weights_of is not None)  # stable


def default_workers(device: torch.device, jobs: int) -> tuple[int, int]:
    """Processes side by side and threads of each.

    On CPUs one thread per small model is the fastest way to use all cores: two such runs side by
    side finish sooner than one after the other on two threads. A GPU takes one run at a time.
    """
    cores = max(torch.get_num_threads(), 1)
    if device.type != "cpu":
        return 1, cores
    workers = max(min(jobs, cores), 1)
    return workers, max(cores // workers, 1)


def run_jobs(
    jobs: Sequence[Job],
    device: torch.device,
    workers: int,
    threads: int,
    minutes: float = math.inf,
    parallel: str = "ddp",
    cluster: str = "",
) -> list[Job]:
    """Runs what is not complete; returns the jobs that are not complete then.

    Args:
        jobs: from `plan`.
        device: where to compute.
        workers: processes side by side; 1 computes in this one.
        threads: of each process.
        minutes: after so many no further job is started; those that run are waited for.
        parallel: how several ranks share a model (`experiments.core.distributed.shared`).
        cluster: address of a Ray cluster that runs the jobs; empty for this machine.
    """
    pending = [job for job in jobs if not job.complete]
    if len(pending) < len(jobs):
        print(f"{len(jobs) - len(pending)} of {len(jobs)} runs are complete already.")
    for job in pending:
        job.folder.failed.unlink(missing_ok=True)
    clock = Clock(len(pending), minutes)
    if cluster and pending:
        run_on_cluster(pending, run_job, cluster, device, threads, clock)
    else:
        for takes in (False, True):  # jobs that train come before jobs that take their weights
            part = [job for job in pending if (job.weights_of is not None) == takes]
            if workers > 1:
                run_side_by_side(part, run_job, device, workers, threads, clock)
            while workers == 1 and part and not clock.late:
                job = take_next(part)
                try:
                    run_job(*job.arguments(device, threads), parallel)
                finally:
                    job.folder.release()
                clock.tell(job)
    return [job for job in pending if not job.complete]


def run_job(
    path: Path,
    device: str,
    threads: int,
    label: str,
    position: int = 0,
    measures: Sequence[str] = (),
    weights_of: Path | None = None,
    snapshots: tuple[int, ...] = (),
    parallel: str = "ddp",
) -> bool:
    """Brings the run in a claimed folder to its end; True if it is complete.

    With `weights_of` nothing is trained: the weights are those of the run in that folder. Of a run
    that is measured only what it lacks of `measures` is. Whatever goes wrong is written to
    ``failed.json`` and returned as False, so that the other jobs go on. With several ranks it runs
    on rank 0, and an error that the other ranks may not have is raised: they all end.
    """
    folder = RunFolder(path)
    torch.set_num_threads(threads)
    with folder.locked():
        if folder.complete(measures):
            return True
        config, place = folder.load_config(), torch.device(device)
        start = time.monotonic()
        try:
            if not (folder.weights.exists() and folder.environment.exists()):  # of the training
                note_environment(folder, run_environment(place, threads, parallel), label)
            if weights_of is not None:
                folder.take_weights(RunFolder(weights_of))
            if not folder.weights.exists():
                call_ranks({"path": str(path), "parallel": parallel, "snapshots": snapshots})
            task = train(
                config,
                folder,
                place,
                label=label,
                position=position,
                still_wanted=_parent_lives,
                parallel=parallel,
                snapshots=snapshots,
            )
            training = time.monotonic() - start
            with alone():
                result = _measured(folder, config, task, place, measures, training)
            write_json(folder.result, result)
        except AbandonedError:
            return False
        except Exception as error:  # one failed job does not end a sweep
            folder.note_failure(type(error).__name__, str(error), traceback.format_exc())
            if rank_and_world()[1] > 1 and not isinstance(error, _OF_ALL_RANKS):
                raise
            return False
    folder.failed.unlink(missing_ok=True)
    return True


def follow(device: torch.device, threads: int) -> None:
    """What every rank but rank 0 does: takes part in the trainings that rank 0 calls for."""
    torch.set_num_threads(threads)
    for call in calls_of_rank_0():
        folder = RunFolder(Path(call["path"]))
        try:
            train(
                folder.load_config(),
                folder,
                device,
                parallel=call["parallel"],
                snapshots=call["snapshots"],
            )
        except _OF_ALL_RANKS:  # rank 0 records it
            continue


def run_environment(device: torch.device, threads: int, parallel: str) -> dict[str, Any]:
    """The environment of a run, with the ranks that share it where there are several."""
    world = rank_and_world()[1]
    ranks = {"ranks": world, "parallel": parallel} if world > 1 else {}
    return environment(device, threads) | ranks


def note_environment(folder: RunFolder, here: Mapping[str, Any], label: str) -> None:
    """Writes the environment of a training that begins, or resumes.

    One that resumes elsewhere, or with other code, is no run of the environment of now alone:
    ``earlier`` then lists what was different before. So no other study takes it for an equal run.
    """
    earlier: list[dict[str, Any]] = []
    if folder.checkpoint.exists() and folder.environment.exists():
        held = read_json(folder.environment)
        earlier = held.pop("earlier", [])
        names = [name for name in {**held, **here} if held.get(name) != here.get(name)]
        if names:
            earlier = [*earlier, {name: held.get(name) for name in names}]
        if "code" in names:
            tqdm.write(
                f"{label}: resumes a training that began with other code. Delete {folder.path} and "
                "run the command again to train all of it with this code.",
                file=sys.stderr,
            )
    write_json(folder.environment, {**here, "earlier": earlier} if earlier else dict(here))


def _measured(
    folder: RunFolder,
    config: RunConfig,
    task: Task,
    place: torch.device,
    measures: Sequence[str],
    training: float,
) -> dict[str, Any]:
    """The run's result: all measures, or what it had and those that it lacked, with the seconds
    that training and measuring took, but for a training that was interrupted and continued."""
    start = time.monotonic()
    if folder.result.exists():  # measured before a study asked for more
        result = read_json(folder.result)
        lacking = [name for name in measures if name not in result]
        result |= _evaluated(task, config, place, lacking, further=True)
    else:
        result = _evaluated(task, config, place, measures) | data_report(folder.path)
        if folder.ema.exists():  # the average of the weights, beside them
            average = make_task(config).to(place)
            load_weights(folder.ema, average.network())
            result["ema"] = _evaluated(average, config, place, measures)
    before = result.get("seconds", {"training": 0.0, "measuring": 0.0})
    result["seconds"] = {
        "training": round(before["training"] + training, 1),
        "measuring": round(before["measuring"] + time.monotonic() - start, 1),
    }
    return result


def _evaluated(
    task: Task,
    config: RunConfig,
    place: torch.device,
    measures: Sequence[str],
    further: bool = False,
) -> dict[str, Any]:
    """All measures of a trained task, or with `further` the named ones alone."""
    own = _OWN_MEASURES.get(config.task)
    if own is segmentation and source_name(config) != "composites":
        own = None
    if own is None:
        function = task_evaluation.further if further else task_evaluation.evaluate
        return function(task, config, place, measures)
    function = own.further if further else own.evaluate
    return function(task.network(), config.data, place, measures)


def _parent_lives() -> bool:
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()
