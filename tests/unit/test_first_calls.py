"""A first call from anywhere leaves nothing behind that a later call trips over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests import warm_python

# Seen in one run of two with torch 2.10: a thread of autograd ends a forked process.
FORKS = pytest.mark.xfail(
    torch.__version__ < (2, 11),
    reason='torch 2.10 ends some forked processes: "Invalid thread pool"',
    strict=False,
)


@FORKS
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
