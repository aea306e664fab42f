"""Progress of long computations: lines in a log, a bar on a terminal, nothing for short ones."""

from __future__ import annotations

import io

import pytest

from wavevit import progress
from wavevit.progress import Progress, duration, in_steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def steps(stream: io.StringIO, clock: list[float], seconds: float, shown: bool = True) -> str:
    with Progress([1, 1, 2], shown=shown, stream=stream) as bar:
        for name in ("first", "second", "third"):
            bar.begin(name)
            clock[0] += seconds
            bar.end()
    return stream.getvalue()


def test_a_log_has_a_line_for_each_step_with_the_time_left(clock: list[float]) -> None:
    assert steps(io.StringIO(), clock, 30.0).splitlines() == [
        "[2/3, about 1 min 30 s left] second",
        "[3/3, about 1 min 0 s left] third",
    ]


def test_what_is_over_soon_shows_nothing(clock: list[float]) -> None:
    assert steps(io.StringIO(), clock, 0.1) == ""
    assert steps(io.StringIO(), clock, 30.0, shown=False) == ""


def test_a_terminal_has_a_bar(clock: list[float]) -> None:
    written = steps(Terminal(), clock, 30.0)
    assert "second" in written
    assert "%|" in written


def test_steps_side_by_side_are_named_when_they_end(clock: list[float]) -> None:
    """In whatever order; the work of those that are done gives the time left."""
    stream = io.StringIO()
    with Progress([6, 2, 2], stream=stream) as bar:
        for index, name in ((2, "third"), (0, "first"), (1, "second")):
            clock[0] += 10.0
            bar.ended(index, name)
    assert stream.getvalue().splitlines() == [
        "[1/3, about 40 s left] third: done",
        "[2/3, about 5 s left] first: done",
        "[3/3, about 0 s left] second: done",
    ]


def test_steps_with_bars_of_their_own_get_lines_on_a_terminal(clock: list[float]) -> None:
    stream = Terminal()
    with Progress([1, 1], stream=stream, bar=False) as bar:
        clock[0] += 10.0
        bar.ended(0, "first")
    assert stream.getvalue() == "[1/2, about 10 s left] first: done\n"


def test_a_loop_in_steps(clock: list[float]) -> None:
    stream, seen = io.StringIO(), []
    for side in in_steps((8, 16), lambda side: f"{side} px", stream=stream):
        seen.append(side)
        clock[0] += 10.0
    assert seen == [8, 16]
    assert stream.getvalue() == "[2/2, about 10 s left] 16 px\n"


def test_durations() -> None:
    assert [duration(s) for s in (8.4, 185, 7800)] == ["8 s", "3 min 5 s", "2 h 10 min"]
