"""A first call from anywhere leaves nothing behind that a later call trips over."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="contexts are forks")
def test_first_call_works_in_every_context() -> None:
    command = [sys.executable, "-m", "tests.first_calls"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
