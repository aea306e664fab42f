"""Runs the jobs of a study: in this process, or in several worker processes.

The workers are ours because the pools of libraries fail together: when one process of
`concurrent.futures.ProcessPoolExecutor`, or of joblib's loky, is killed, the pool is broken and
all jobs that run in it are lost. Here a process that dies costs its own job, which is recorded,
and the next job gets a new process.
"""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from experiments.core.evaluation import held_out
from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.job import run_job, serve_jobs
from experiments.core.records import environment, write_json
from experiments.core.tasks import TASKS, make_model
from wavevit.checks import check_at_least, check_choice, fail
from wavevit.measure import latency_ratios
from wavevit.plugins import imported

if TYPE_CHECKING:
    from experiments.core.study import Study

__all__ = ["Job", "default_workers", "measure_latency", "plan", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """One variant with one seed, in its folder.

    Attributes:
        variant: its name.
        seed: of the run.
        folder: its files.
        measures: what is measured beside the standard.
        weights_of: the run whose weights are measured; None for a run that trains its own.
    """

    variant: str
    seed: int
    folder: RunFolder
    measures: tuple[str, ...] = ()
    weights_of: RunFolder | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.folder.complete(self.measures)

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.variant}, seed {self.seed}"


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
            job = Job(name, seed, folder.run(name, seed), study.measures, weights_of)
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
) -> list[Job]:
    """Runs what is not complete; returns the jobs that are not complete then.

    Args:
        jobs: from `plan`.
        device: where to compute.
        workers: processes side by side; 1 computes in this one.
        threads: of each process.
        minutes: after so many no further job is started; those that run are waited for.
    """
    pending = [job for job in jobs if not job.complete]
    if len(pending) < len(jobs):
        print(f"{len(jobs) - len(pending)} of {len(jobs)} runs are complete already.")
    for job in pending:
        job.folder.failed.unlink(missing_ok=True)
    clock = _Clock(len(pending), minutes)
    if workers == 1:
        for job in pending:
            if clock.late:
                break
            source = job.weights_of.path if job.weights_of is not None else None
            path, label = job.folder.path, job.label
            run_job(path, str(device), threads, label, 0, job.measures, source)
            clock.tell(job)
    else:  # jobs that train come before jobs that take their weights
        for takes in (False, True):
            part = [job for job in pending if (job.weights_of is not None) == takes]
            _run_side_by_side(part, device, workers, threads, clock)
    return [job for job in pending if not job.complete]


class _Clock:
    """Says what ended and about how long the rest will take."""

    def __init__(self, total: int, minutes: float) -> None:
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.minutes = minutes

    @property
    def late(self) -> bool:
        """Whether nothing more may begin."""
        return time.monotonic() - self.start >= 60 * self.minutes

    def tell(self, job: Job) -> None:
        self.done += 1
        elapsed = time.monotonic() - self.start
        left = elapsed / self.done * (self.total - self.done)
        if job.complete:
            task = TASKS[job.folder.load_config().task]
            score = json.loads(job.folder.result.read_text())[task.score]
            outcome = f"{task.title} {score:.1f} %"
        elif job.folder.failed.exists():
            failure = json.loads(job.folder.failed.read_text())
            outcome = f"FAILED, {failure['error']}: {failure['message']}"
        else:
            outcome = "stopped"
        tqdm.write(
            f"[{self.done}/{self.total}] {job.label}: {outcome}"
            f"  ({elapsed / 60:.1f} min, about {left / 60:.1f} min left)"
        )


class _Worker:
    """A process that runs jobs, and the one that it is at."""

    def __init__(self, device: torch.device, threads: int, position: int, lock: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.position = position
        self.job: Job | None = None
        self.asked, theirs = context.Pipe()
        arguments = (theirs, str(device), threads, position, lock, imported())
        self.process = context.Process(target=serve_jobs, args=arguments)
        self.process.start()
        theirs.close()  # the process's own end alone is left: its death ends the pipe

    def ask(self, job: Job) -> None:
        source = str(job.weights_of.path) if job.weights_of is not None else None
        self.job = job
        with suppress(BrokenPipeError):  # it has died; `answer` says so
            self.asked.send((str(job.folder.path), job.label, job.measures, source))

    def answer(self) -> bool:
        """Waits until the job ended; False if the process ends with it, for whatever reason."""
        try:
            done: bool = self.asked.recv()
        except (EOFError, ConnectionResetError):
            done = False
        if not done:
            self.process.join()
        job = self.job
        if job is not None and not job.complete and not job.folder.failed.exists():
            message = f"its process ended with exit code {self.process.exitcode}"
            failure = {"error": "ProcessDied", "message": message, "traceback": ""}
            write_json(job.folder.failed, failure)
        return done

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.asked.close()


def _run_side_by_side(
    pending: list[Job], device: torch.device, count: int, threads: int, clock: _Clock
) -> None:
    lock = multiprocessing.get_context("spawn").RLock()
    tqdm.set_lock(lock)
    waiting = list(pending)
    places = list(range(min(count, len(pending))))
    workers: list[_Worker] = []
    try:
        while True:
            while waiting and places and not clock.late:
                workers.append(_Worker(device, threads, places.pop(0), lock))
                workers[-1].ask(waiting.pop(0))
            if not workers:
                break
            ready = wait([worker.asked for worker in workers])
            for worker in [worker for worker in workers if worker.asked in ready]:
                alive = worker.answer()
                assert worker.job is not None
                clock.tell(worker.job)
                if alive and waiting and not clock.late:
                    worker.ask(waiting.pop(0))
                else:
                    worker.end()
                    workers.remove(worker)
                    places.append(worker.position)
    finally:
        for worker in workers:
            worker.end()


def measure_latency(study: Study, folder: StudyFolder, device: torch.device) -> None:
    """Times all variants interleaved in one process and writes the ratios.

    Runs when nothing else of the study does; weights do not matter to the time.
    """
    configs, baseline = study.configs(), study.baseline
    config = configs[baseline]
    data = dataclasses.replace(config.data, test_crops=study.timed_batch)
    scenes, batch = held_out(data, device)
    first = {run.model: name for name, run in reversed(configs.items())}  # equal models, one time
    models = {name: make_model(configs[name]).to(device).eval() for name in first.values()}
    threads = torch.get_num_threads()
    crops = scenes.center(batch.images)
    measured = latency_ratios(models, crops, first[config.model], rounds=30)
    ratios = {name: measured[first[run.model]] for name, run in configs.items()}
    write_json(
        folder.latency,
        {
            "reference": baseline,
            "ratios": ratios,
            "batch": list(crops.shape),
            "rounds": 30,
            "environment": environment(device, threads),
        },
    )


def clear_latency(folder: StudyFolder) -> None:
    """Forgets old times: they belong to the runs they were measured with."""
    folder.latency.unlink(missing_ok=True)
