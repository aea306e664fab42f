"""Work in a fresh process that answers through a pipe, one question after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

__all__ = ["Complaint", "Worker"]


class Complaint(str):
    """Why a process gives no answer."""

    __slots__ = ()

    @classmethod
    def of(cls, error: Exception) -> Complaint:
        """The kind of an error and the first line of what it says."""
        return cls(f"{type(error).__name__}: {error}".splitlines()[0])


class Worker:
    """A function in a fresh process.

    Args:
        serve: picklable; gets the arguments and then its end of the pipe, where it answers until
            `EOFError` says that nobody asks any more. What goes wrong it sends as a `Complaint`.
        *arguments: picklable.
    """

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def answer(self, seconds: float | None = None) -> Any:
        """The next answer, or a `Complaint`.

        Args:
            seconds: to wait for it; by default for ever.
        """
        if not self._pipe.poll(seconds if seconds is None else max(seconds, 0.0)):
            return Complaint("not ready in time")
        try:
            return self._pipe.recv()
        except EOFError:
            return Complaint("its process ended")

    def ask(self, question: Any) -> Any:
        """Sends a question; gives the answer, or a `Complaint`."""
        with suppress(BrokenPipeError):  # it has died; `answer` says so
            self._pipe.send(question)
        return self.answer()

    def close(self) -> None:
        """Ends the process, in the middle of its work if need be."""
        self._process.terminate()
        self._process.join()
        self._pipe.close()
