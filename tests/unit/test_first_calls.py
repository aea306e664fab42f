"""A first call from anywhere leaves nothing behind that a later call trips over."""

from __future__ import annotations

import sys

import pytest

from tests import warm_python


@pytest.mark.skipif(sys.platform == "win32", reason="contexts are forks")
def test_first_call_works_in_every_context() -> None:
    done = warm_python.run([sys.executable, "-m", "tests.first_calls"])
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
