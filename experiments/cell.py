"""A cell of a study: train, measure, record. It fails alone."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from experiments.folder import RunFolder, environment, write_json
from experiments.tasks import TASKS
from experiments.training import AbandonedError, train

__all__ = ["run_cell", "serve_cells"]


def run_cell(
    path: Path,
    device: str,
    threads: int,
    label: str,
    position: int = 0,
    measures: Sequence[str] = (),
    weights_of: Path | None = None,
) -> bool:
    """Brings the run in a claimed folder to its end; True if it is complete.

    With `weights_of` nothing is trained: the weights are those of the run in that folder. Whatever
    goes wrong is written to ``failed.json`` and returned as False, so that the other cells go on.
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
            trained = time.monotonic()
            result = TASKS[config.task].evaluate(model, config.data, place, measures)
            result["seconds"] = {  # of this attempt: a continued run did part of it before
                "training": round(trained - start, 1),
                "measuring": round(time.monotonic() - trained, 1),
            }
            write_json(folder.result, result)
        except AbandonedError:
            return False
        except Exception as error:  # one failed cell does not end a sweep
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


def _parent_lives() -> bool:
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()


def serve_cells(asked: Connection, device: str, threads: int, position: int, lock: object) -> None:
    """Runs one cell after the other as it is asked for, as the target of a process.

    A process that serves many cells imports, loads photographs and opens the GPU once. After a cell
    that failed it ends, so that nothing is computed in what the failure left behind.

    Args:
        asked: gives (path, label, measures, folder of lent weights or None), or None for the end;
            gets True for a cell that is complete.
        device: where to compute.
        threads: of this process.
        position: line of its progress bars.
        lock: of the progress bars of all processes.
    """
    from tqdm import tqdm

    tqdm.set_lock(lock)
    with suppress(EOFError):  # whoever asks has died
        while (cell := asked.recv()) is not None:
            path, label, measures, source = cell
            weights_of = Path(source) if source is not None else None
            done = run_cell(Path(path), device, threads, label, position, measures, weights_of)
            if torch.device(device).type == "cuda":
                torch.cuda.empty_cache()  # the processes beside this one need it
            asked.send(done)
            if not done:
                return
