"""How long the ledger took, command by command, over as many attempts as it needed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.core.records import read_json, write_json

_NAME = "ledger.json"


class TimeTaken:
    """Keeps time in a folder of runs, so that it goes away with them.

    Args:
        runs: the folder. Where it holds runs but no times, what was there before is said to be.
        every: seconds after which the time of a command that still runs is written. A killed
            command loses no more than this.
    """

    def __init__(self, runs: Path, every: float = 10.0) -> None:
        self.path, self.every = runs / _NAME, every
        held: dict[str, Any] = {
            "empty": not any(runs.glob("*/study.json")),
            "seconds": {},
            "done": [],
        }
        if self.path.exists():
            held = read_json(self.path)
        self._empty: bool = held["empty"]
        self._seconds: dict[str, float] = held["seconds"]
        self._done: list[str] = held["done"]

    @property
    def done(self) -> tuple[str, ...]:
        """The commands that have succeeded."""
        return tuple(self._done)

    def by(self, command: str, process: subprocess.Popen[Any]) -> int:
        """Waits for the process of a command; returns its exit code.

        A command that has succeeded before, and now only finds that, is not counted again. A caller
        that stops waiting ends the process: its later work would not be counted.
        """
        start, before = time.monotonic(), self._seconds.get(command, 0.0)
        code: int | None = None
        try:
            while code is None:
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(self.every)
                if command not in self._done:
                    self._seconds[command] = round(before + time.monotonic() - start, 1)
                    self._write()
        finally:
            if code is None:
                process.terminate()
                process.wait()
        if code == 0 and command not in self._done:
            self._done.append(command)
            self._write()
        return code

    def from_nothing(self, commands: Iterable[str]) -> bool:
        """Whether all of these were done, in a folder that held no runs before."""
        return self._empty and set(commands) <= set(self._done)

    def record(self) -> dict[str, Any]:
        """Seconds by command, and together."""
        return {"seconds": round(sum(self._seconds.values())), "commands": dict(self._seconds)}

    def _write(self) -> None:
        write_json(self.path, {"empty": self._empty, "seconds": self._seconds, "done": self._done})
