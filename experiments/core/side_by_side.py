"""Processes that run a study's jobs side by side.

The workers are ours because the pools of libraries fail together: when one process of
`concurrent.futures.ProcessPoolExecutor`, or of joblib's loky, is killed, the pool is broken and
all jobs that run in it are lost. Here a process that dies costs its own job, which is recorded,
and the next job gets a new process.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from experiments.core.kept_memory import keep_memory
from experiments.core.worker import Worker
from wavevit.plugins import import_files, imported

if TYPE_CHECKING:
    from experiments.core.job import Job

# What a job imports and is not ours: a server has it, from which the processes are forked.
_PRELOADED = ["torch", "torch._dynamo", "scipy.optimize", "scipy.stats"]


def _method(device: torch.device) -> str:
    """How processes are started; a fork could not use a GPU that an import has looked at."""
    if device.type != "cpu" or "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
    return "forkserver"


class Clock:
    """Says what ended and about how long the rest will take."""

    def __init__(self, total: int, minutes: float) -> None:
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.minutes = minutes

    @property
    def late(self) -> bool:
        """Whether nothing more may begin."""
        return time.monotonic() - self.start >= 60 * self.minutes

    def tell(self, job: Job) -> None:
        """Says how a job ended."""
        self.done += 1
        elapsed = time.monotonic() - self.start
        left = elapsed / self.done * (self.total - self.done)
        tqdm.write(
            f"[{self.done}/{self.total}] {job.label}: {job.outcome}"
            f"  ({elapsed / 60:.1f} min, about {left / 60:.1f} min left)"
        )


def take_next(waiting: list[Job]) -> Job:
    """Takes the next job out of the list: the first one that no other process has taken.

    So the same command on several machines that share a folder shares the runs. If others have all
    that is left, it is the first: its process waits, and continues if the other is killed. When the
    job ended, call ``job.folder.release()``.
    """
    free = (place for place, job in enumerate(waiting) if job.folder.take())
    return waiting.pop(next(free, 0))


class _JobWorker(Worker):
    """A process that runs jobs, and the one that it is at."""

    def __init__(
        self,
        run: Callable[..., bool],
        device: torch.device,
        threads: int,
        position: int,
        lock: object,
    ) -> None:
        # Not a daemon, because a user's model may start processes.
        super().__init__(_serve, run, lock, imported(), daemon=False, method=_method(device))
        self.device, self.threads, self.position = device, threads, position
        self.job: Job | None = None

    def begin(self, job: Job) -> None:
        """Asks for a job."""
        self.job = job
        self.send(job.arguments(self.device, self.threads, self.position))

    def end_of_job(self) -> bool:
        """Waits until the job ended; False if the process ends with it, for whatever reason."""
        done = self.answer() is True
        if not done:
            self.process.join()
        job = self.job
        if job is not None and not job.complete and not job.folder.failed.exists():
            message = f"its process ended with exit code {self.process.exitcode}"
            job.folder.note_failure("ProcessDied", message)
        return done


def run_side_by_side(
    pending: Sequence[Job],
    run: Callable[..., bool],
    device: torch.device,
    count: int,
    threads: int,
    clock: Clock,
) -> None:
    """Runs jobs in processes of their own.

    Args:
        pending: jobs that are not complete.
        run: `experiments.core.job.run_job`.
        device: where to compute.
        count: processes side by side.
        threads: of each process.
        clock: says when it is too late to begin, and is told what ends.
    """
    lock = multiprocessing.get_context(_method(device)).RLock()
    tqdm.set_lock(lock)
    waiting = list(pending)
    places = list(range(min(count, len(pending))))
    workers: list[_JobWorker] = []
    try:
        while True:
            while waiting and places and not clock.late:
                workers.append(_JobWorker(run, device, threads, places.pop(0), lock))
                workers[-1].begin(take_next(waiting))
            if not workers:
                break
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                alive = worker.end_of_job()
                assert worker.job is not None
                worker.job.folder.release()
                clock.tell(worker.job)
                if alive and waiting and not clock.late:
                    worker.begin(take_next(waiting))
                else:
                    worker.close()
                    workers.remove(worker)
                    places.append(worker.position)
    finally:
        for worker in workers:
            worker.close()
            if worker.job is not None:
                worker.job.folder.release()


def _serve(
    run: Callable[..., bool],
    lock: object,
    modules: Sequence[str],
    asked: Connection,
) -> None:
    """Runs one job after the other as it is asked for, as the target of a process.

    A process that serves many jobs imports, loads photographs and opens the GPU once. After a job
    that failed it ends, so that nothing is computed in what the failure left behind.

    Args:
        run: `experiments.core.job.run_job`.
        lock: of the progress bars of all processes.
        modules: files that register parts, run first (`wavevit.plugins.import_files`).
        asked: gives the arguments of `run`; gets True for a job that is complete.
    """
    import_files(modules)
    tqdm.set_lock(lock)
    keep_memory()
    with suppress(EOFError):  # the parent process has died
        while True:
            done = run(*asked.recv())
            torch.cuda.empty_cache()  # the processes beside this one need it
            asked.send(done)
            if not done:
                return
