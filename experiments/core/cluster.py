"""The jobs of a study on the machines of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from experiments.core.code import ROOT
from wavevit.checks import require_extra
from wavevit.plugins import import_files, imported

if TYPE_CHECKING:
    from experiments.core.job import Job
    from experiments.core.side_by_side import Clock

# How often a job is begun again whose process or machine was lost.
_RETRIES = 5


def run_on_cluster(
    pending: Sequence[Job],
    run: Callable[..., bool],
    address: str,
    device: torch.device,
    threads: int,
    clock: Clock,
) -> None:
    """Runs jobs as tasks of Ray, each on one GPU or on as many CPUs as it has threads.

    A job whose machine is lost begins again on another one, from its last checkpoint: all machines
    see the folder of the runs and have this package at the same place.

    Args:
        pending: jobs that are not complete; those that take weights come after all that train.
        run: `experiments.core.job.run_job`.
        address: of the cluster; ``"auto"`` for the one of this machine, ``"local"`` for one that is
            started here and ends with this process.
        device: the kind of device where jobs compute.
        threads: of each job.
        clock: is told what ends.

    Raises:
        ImportError: Ray is not installed; the message names the extra.
    """
    ray: Any = require_extra("ray", "cluster")
    # Layers of a user's file may import packages that only their path has.
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ray.init(
        address=address,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": paths, "TQDM_DISABLE": "1"}},
    )
    # A process for each job: what a failed one left behind computes nothing more.
    task = ray.remote(
        num_cpus=threads,
        num_gpus=int(device.type == "cuda"),
        max_retries=_RETRIES,
        max_calls=1,
    )(_run_one)
    try:
        for takes in (False, True):
            part = [job for job in pending if (job.weights_of is not None) == takes]
            running = {
                task.remote(run, *_arguments(job, device, threads), list(imported())): job
                for job in part
            }
            while running:
                ended, _ = ray.wait(list(running), num_returns=1)
                job = running.pop(ended[0])
                try:
                    ray.get(ended[0])
                except ray.exceptions.RayError as error:
                    job.folder.note_failure(type(error).__name__, str(error))
                clock.tell(job)
    finally:
        ray.shutdown()


def _arguments(job: Job, device: torch.device, threads: int) -> tuple[Any, ...]:
    """Those of `experiments.core.job.run_job`: whole paths, and whichever GPU the task gets."""
    own = job.arguments(torch.device(device.type), threads)
    return tuple(one.resolve() if isinstance(one, Path) else one for one in own)


def _run_one(run: Callable[..., bool], *arguments: Any) -> bool:
    """One job on a machine of the cluster; the last argument names files that register layers."""
    *own, modules = arguments
    import_files(modules)
    return run(*own)
