"""Progress of a long computation: a bar on a terminal, one plain line per step elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TextIO, TypeVar

from wavevit.checks import require_extra

__all__ = ["Progress", "duration", "in_steps"]

Item = TypeVar("Item")

_SILENT = 5.0  # seconds: what is over by then needs no line


def duration(seconds: float) -> str:
    """A time that a person reads: ``8 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Steps of unequal length, and an estimate of the time left.

    On a terminal it draws tqdm's bar. In a log file it writes a line before each step, once five
    seconds have passed: ``[3/22, about 2 min 5 s left] dtcwt_vit_tiny: sensitivity``.

    Args:
        work: of each step, in any unit; only the ratios count.
        shown: whether to show anything.
        stream: where to; standard error by default.
        bar: whether to draw a bar on a terminal. Steps that draw bars or print get lines there too.

    Example:
        >>> import sys
        >>> with Progress([1, 3], stream=sys.stdout, shown=False) as progress:
        ...     for name in ("load", "train"):
        ...         progress.begin(name)
        ...         progress.end()
        >>> progress.done
        2
    """

    def __init__(
        self,
        work: Sequence[float],
        *,
        shown: bool = True,
        stream: TextIO | None = None,
        bar: bool = True,
    ) -> None:
        self.work, self.shown = work, shown
        self.stream = sys.stderr if stream is None else stream
        self.done = 0
        self._finished = 0.0  # of the work
        self.started = time.monotonic()
        self.bar: Any = None
        if shown and bar and self.stream.isatty():
            require_extra("tqdm", "audit")
            from tqdm import tqdm

            self.bar = tqdm(
                total=sum(work),
                file=self.stream,
                leave=False,
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
            )

    @property
    def left(self) -> float | None:
        """Estimated seconds that are left; None before the first step has ended."""
        if not self._finished:
            return None
        elapsed, rest = time.monotonic() - self.started, sum(self.work) - self._finished
        return elapsed * rest / self._finished

    def begin(self, step: str) -> None:
        """Names the step that begins now."""
        self._say(self.done + 1, step)

    def end(self) -> None:
        """The step is over."""
        self._add(self.work[self.done])

    def ended(self, index: int, step: str) -> None:
        """Names a step that is over, where several run at the same time.

        Args:
            index: of the step in `work`.
            step: its name.
        """
        self._add(self.work[index])
        self._say(self.done, f"{step}: done")

    def _add(self, work: float) -> None:
        if self.bar is not None:
            self.bar.update(work)
        self.done += 1
        self._finished += work

    def _say(self, number: int, step: str) -> None:
        if self.bar is not None:
            self.bar.set_description_str(step)
        elif self.shown and time.monotonic() - self.started >= _SILENT:
            left = "" if self.left is None else f", about {duration(self.left)} left"
            words = f"[{number}/{len(self.work)}{left}] {step}"
            print(words, file=self.stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()


def in_steps(
    items: Iterable[Item],
    name: Callable[[Item], object] = str,
    *,
    shown: bool = True,
    stream: TextIO | None = None,
    bar: bool = True,
) -> Iterator[Item]:
    """The items of a loop, each a step of a `Progress`, all with the same work.

    Args:
        items: of the loop.
        name: of an item's step.
        shown: whether to show anything.
        stream: where to; standard error by default.
        bar: as in `Progress`; False for loops that print.

    Example:
        >>> import sys
        >>> [side**2 for side in in_steps((8, 16), stream=sys.stdout, shown=False)]
        [64, 256]
    """
    listed = list(items)
    with Progress([1.0] * len(listed), shown=shown, stream=stream, bar=bar) as progress:
        for item in listed:
            progress.begin(str(name(item)))
            yield item
            progress.end()
