"""A pool of processes that end when this process ends, however it ends.

The workers of `concurrent.futures` alone do not: after a kill of their parent they finish their
work and then wait for more for ever, with the memory of their models.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

import torch

from experiments.core.kept_memory import keep_memory


def process_pool(workers: int, threads: int | None = None) -> ProcessPoolExecutor:
    """Processes side by side, each a new interpreter that keeps the memory it has had.

    Args:
        workers: how many.
        threads: of torch in each; by default as many as torch chooses.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(threads,))


def _begin(threads: int | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_memory()
    if threads is not None:
        torch.set_num_threads(threads)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
