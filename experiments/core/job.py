"""A job of a study: train, measure, record. It fails alone."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from experiments.core.config import RunConfig
from experiments.core.folder import RunFolder
from experiments.core.records import environment, write_json
from experiments.core.tasks import TASKS, Model
from experiments.core.training import AbandonedError, train
from wavevit.plugins import import_files

__all__ = ["run_job", "serve_jobs"]

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h


def run_job(
    path: Path,
    device: str,
    threads: int,
    label: str,
    position: int = 0,
    measures: Sequence[str] = (),
    weights_of: Path | None = None,
) -> bool:
    """Brings the run in a claimed folder to its end; True if it is complete.

    With `weights_of` nothing is trained: the weights are those of the run in that folder. Of a run
    that is measured only what it lacks of `measures` is. Whatever goes wrong is written to
    ``failed.json`` and returned as False, so that the other jobs go on.
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
                write_json(folder.environment, environment(place, threads))
            if weights_of is not None:
                folder.take_weights(RunFolder(weights_of))
            model = train(
                config, folder, place, label=label, position=position, still_wanted=_parent_lives
            )
            training = time.monotonic() - start
            write_json(folder.result, _measured(folder, config, model, place, measures, training))
        except AbandonedError:
            return False
        except Exception as error:  # one failed job does not end a sweep
            write_json(
                folder.failed,
                {
                    "error": type(error).__name__,
                    "message": str(error),
                    "traceback": traceback.format_exc(),
                },
            )
            return False
    folder.failed.unlink(missing_ok=True)
    return True


def _measured(
    folder: RunFolder,
    config: RunConfig,
    model: Model,
    place: torch.device,
    measures: Sequence[str],
    training: float,
) -> dict[str, Any]:
    """The run's result: all measures, or what it had and those that it lacked, with the seconds
    that training and measuring took, but for a training that was interrupted and continued."""
    start, task = time.monotonic(), TASKS[config.task]
    if folder.result.exists():  # measured before a study asked for more
        result = json.loads(folder.result.read_text())
        lacking = [name for name in measures if name not in result]
        result |= task.further(model, config.data, place, lacking)
    else:
        result = task.evaluate(model, config.data, place, measures)
    before = result.get("seconds", {"training": 0.0, "measuring": 0.0})
    result["seconds"] = {
        "training": round(before["training"] + training, 1),
        "measuring": round(before["measuring"] + time.monotonic() - start, 1),
    }
    return result


def _parent_lives() -> bool:
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()


def _keep_memory() -> None:
    """Tells the C library to keep what is freed, where it can be told.

    Otherwise glibc gives large tensors back to the system at every step and is given fresh pages at
    the next, whose first touch takes a tenth to a quarter of a segmenter's training.
    """
    with suppress(OSError, AttributeError):  # another C library
        tell = ctypes.CDLL(None).mallopt
        tell(_TRIM_THRESHOLD, 2**31 - 1)
        tell(_MMAP_MAX, 0)


def serve_jobs(
    asked: Connection,
    device: str,
    threads: int,
    position: int,
    lock: object,
    modules: Sequence[str] = (),
) -> None:
    """Runs one job after the other as it is asked for, as the target of a process.

    A process that serves many jobs imports, loads photographs and opens the GPU once. After a job
    that failed it ends, so that nothing is computed in what the failure left behind.

    Args:
        asked: gives (path, label, measures, folder whose weights the job takes or None), or None
            for the end; gets True for a job that is complete.
        device: where to compute.
        threads: of this process.
        position: line of its progress bars.
        lock: of the progress bars of all processes.
        modules: files that register parts, run first (`wavevit.plugins.import_files`).
    """
    import_files(modules)
    from tqdm import tqdm

    tqdm.set_lock(lock)
    _keep_memory()
    with suppress(EOFError):  # the parent process has died
        while (job := asked.recv()) is not None:
            path, label, measures, source = job
            weights_of = Path(source) if source is not None else None
            done = run_job(Path(path), device, threads, label, position, measures, weights_of)
            if torch.device(device).type == "cuda":
                torch.cuda.empty_cache()  # the processes beside this one need it
            asked.send(done)
            if not done:
                return
