"""A first call from anywhere leaves nothing behind that a later call trips over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests import warm_python


@pytest.mark.skipif(sys.platform == "win32", reason="contexts are forks")
@pytest.mark.parametrize(
    "run",
    [
        warm_python.run,
        # The first call then imports numba and dynamo too, which takes half a minute in all.
        pytest.param(subprocess.run, marks=pytest.mark.nightly),
    ],
    ids=["libraries imported", "nothing imported"],
)
def test_first_call_works_in_every_context(run: Callable[..., Any]) -> None:
    command = [sys.executable, "-m", "tests.first_calls"]
    done = run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
