"""Work in a fresh process that answers through a pipe, one question after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import Any


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
        daemon: whether it ends with this process, and may have no processes of its own.
        method: of `multiprocessing`: a new interpreter, or a fork of a server.
    """

    def __init__(
        self,
        serve: Callable[..., None],
        *arguments: Any,
        daemon: bool = True,
        method: str = "spawn",
    ) -> None:
        context: Any = get_context(method)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(*arguments, theirs), daemon=daemon)
        self.process.start()
        theirs.close()  # the process's own end alone is left: its death ends the pipe

    def send(self, question: Any) -> None:
        """Sends a question."""
        with suppress(BrokenPipeError):  # the process has died; `answer` reports it
            self.pipe.send(question)

    def answer(self, seconds: float | None = None) -> Any:
        """The next answer, or a `Complaint`.

        Args:
            seconds: to wait for it; by default for ever.
        """
        if not self.pipe.poll(seconds if seconds is None else max(seconds, 0.0)):
            return Complaint("not ready in time")
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return Complaint("its process ended")

    def ask(self, question: Any) -> Any:
        """Sends a question; gives the answer, or a `Complaint`."""
        self.send(question)
        return self.answer()

    def close(self, patience: float = 0.0) -> None:
        """Ends the process, in the middle of its work if need be.

        Args:
            patience: seconds in which it may end by itself, which leaves nothing behind.
        """
        if patience:
            self.pipe.close()
            self.process.join(patience)
        self.process.terminate()
        self.process.join()
        self.pipe.close()
