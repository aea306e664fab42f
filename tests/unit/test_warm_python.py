"""Processes forked from a server of large libraries behave as new interpreters."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests import warm_python


def run(code: str, *arguments: str, **options):
    return warm_python.run([sys.executable, "-c", code, *arguments], **options)


def test_nothing_of_ours_is_imported_before() -> None:
    ours = "[m for m in sys.modules if m.split('.')[0] in ('wavevit', 'experiments')]"
    code = f"import sys; print('torch' in sys.modules, {ours}); import wavevit.wavelets"
    for _ in range(2):  # what one process imports, the next does not have
        done = run(code, check=True)
        assert done.stdout == "True []\n"


def test_arguments_folder_environment_and_output(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv, os.getcwd()); print(os.environ['A'], file=sys.stderr)"
    done = run(code, "one", "two", cwd=tmp_path, env=os.environ | {"A": "b"})
    assert done.returncode == 0
    assert done.stdout == f"['-c', 'one', 'two'] {tmp_path}\n"
    assert done.stderr == "b\n"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ],
)
def test_failures_are_told(code: str, status: int, words: str) -> None:
    done = run(code)
    assert done.returncode == status
    assert done.stderr.endswith(words)


def test_a_module_runs_as_a_command() -> None:
    done = warm_python.run([sys.executable, "-m", "wavevit", "models", "nothing*"])
    assert done.returncode == 2
    assert "nothing*" in done.stderr
