"""Workers for tests: one in this process, and a question and answer that need no torch."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from experiments.core.worker import Complaint, Worker

__all__ = ["WorkerHere", "echo"]


class WorkerHere(Worker):
    """A function in a thread: quick, for tests of what is not the isolation of processes."""

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self._thread = threading.Thread(target=serve, args=(*arguments, theirs))
        self._thread.start()

    def close(self, patience: float = 0.0) -> None:
        """Ends the thread: nobody asks any more."""
        self.pipe.close()
        self._thread.join()


def echo(pipe: Connection) -> None:
    """Answers with the question; dies, is silent or complains where it is asked to."""
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        if question == "die":
            os._exit(3)
        if question == "complain":
            pipe.send(Complaint.of(RuntimeError("no such thing\nthe rest")))
        elif question != "be silent":
            pipe.send(question)
