"""Progress of long computations: lines in a log, a bar on a terminal, nothing for short ones."""

from __future__ import annotations

import io

import pytest

from wavevit import progress
from wavevit.progress import Progress, duration


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


def test_durations() -> None:
    assert [duration(s) for s in (8.4, 185, 7800)] == ["8 s", "3 min 5 s", "2 h 10 min"]
