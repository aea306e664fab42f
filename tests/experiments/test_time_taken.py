"""The time of the whole ledger, kept while its commands run, over attempts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.claims import __main__ as ledger
from experiments.claims.expected_time import expected_seconds
from experiments.claims.time_taken import TimeTaken
from experiments.core.records import read_json, write_json
from tests import warm_python


def test_the_time_of_the_whole_ledger_is_kept_over_attempts(tmp_path: Path) -> None:
    def attempt(command: str, seconds: float, code: int = 0) -> int:
        call = f"import time; time.sleep({seconds}); raise SystemExit({code})"
        return TimeTaken(tmp_path, 0.05).by(command, subprocess.Popen([sys.executable, "-c", call]))

    assert attempt("first", 0.3, code=1) == 1
    assert not TimeTaken(tmp_path).from_nothing(["first"])
    assert attempt("first", 0.2) == 0
    kept = TimeTaken(tmp_path).record()["commands"]["first"]
    assert kept >= 0.5  # both attempts
    assert attempt("first", 0.2) == 0
    assert TimeTaken(tmp_path).record()["commands"]["first"] == kept  # it was done
    assert TimeTaken(tmp_path).from_nothing(["first"])
    assert not TimeTaken(tmp_path).from_nothing(["first", "second"])


def test_a_ledger_that_began_with_runs_is_not_timed_from_nothing(tmp_path: Path) -> None:
    (tmp_path / "zoom").mkdir()
    (tmp_path / "zoom" / "study.json").write_text("{}")
    TimeTaken(tmp_path).by("first", subprocess.Popen([sys.executable, "-c", ""]))
    assert not TimeTaken(tmp_path).from_nothing(["first"])


def test_a_command_that_is_killed_has_kept_its_time(tmp_path: Path) -> None:
    code = f"""
import subprocess, sys
from pathlib import Path
from experiments.claims.time_taken import TimeTaken
wait = [sys.executable, "-c", "import time; time.sleep(60)"]
TimeTaken(Path({str(tmp_path)!r}), 0.05).by("first", subprocess.Popen(wait))
"""
    killed = warm_python.start([sys.executable, "-c", code], new_session=True)
    while killed.is_alive() and TimeTaken(tmp_path).record()["seconds"] < 1:
        time.sleep(0.1)
    assert killed.is_alive()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.join()
    assert TimeTaken(tmp_path).record()["seconds"] >= 1
    assert not TimeTaken(tmp_path).from_nothing(["first"])


def test_who_stops_waiting_stops_the_command(tmp_path: Path) -> None:
    """By a signal that the ledger's command line answers: nothing goes on uncounted."""
    code = f"""
import signal, subprocess, sys
from pathlib import Path
from experiments.claims.__main__ import _stop
from experiments.claims.time_taken import TimeTaken
signal.signal(signal.SIGTERM, _stop)
process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(process.pid, flush=True)
TimeTaken(Path({str(tmp_path)!r}), 0.05).by("first", process)
"""
    said = tmp_path / "said"
    waiting = warm_python.start([sys.executable, "-c", code], output=(str(said), os.devnull))
    while waiting.is_alive() and not TimeTaken(tmp_path).path.exists():
        time.sleep(0.05)
    child = int(said.read_text())
    os.kill(child, 0)  # it is there
    waiting.terminate()
    waiting.join()
    assert waiting.exitcode == 1
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_time_of_the_ledger_is_expected_from_its_records(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    write_json(tmp_path / "zoom" / "summary.json", {"core_minutes": 2.0 * cores})
    write_json(tmp_path / "turnover" / "measurement.json", {"seconds": 30.0})
    words = ("run zoom", "report zoom --record", "run turnover", "run clip", "run graft")
    commands = [f"python -m experiments {word}" for word in words]
    assert expected_seconds(commands, records=tmp_path) == [120.0, 30.0, 30.0, 75.0, 75.0]
    done = commands[:1]  # it only finds that it was done
    assert expected_seconds(commands, done, records=tmp_path)[0] == 30.0
    assert len({*expected_seconds(commands, records=tmp_path / "none")}) == 1


def test_ledger_says_what_it_runs_and_the_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = (f"python -c 'print({number})'" for number in (1, 2))
    monkeypatch.setattr(ledger, "commands", lambda claims: [first, second])
    monkeypatch.setattr(ledger, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(ledger, "RECORDS", tmp_path)
    monkeypatch.setattr("wavevit.progress._SILENT", 0.0)
    ledger._run()
    said = capfd.readouterr().err.splitlines()
    assert said[0] == f"[1/2] {first}"
    assert said[1].startswith("[2/2, about ")
    assert said[1].endswith(f" left] {second}")
    assert list(read_json(tmp_path / "claims" / "run.json")["commands"]) == [first, second]
