"""Processes of a pool end with the process that made it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from experiments.core.process_pool import process_pool

# The processes share the output of the first one, so it has an end when all of them have ended.
_WAITS = """
import os, sys, time
from experiments.core.process_pool import process_pool
pool = process_pool(2)
print(pool.submit(os.getpid).result() != os.getpid(), flush=True)
{work}
time.sleep(600)
"""


@pytest.mark.parametrize("work", ["", "pool.submit(time.sleep, 600)"], ids=["idle", "at work"])
def test_workers_end_when_their_parent_is_killed(work: str) -> None:
    command = [sys.executable, "-c", _WAITS.format(work=work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "True\n"
        parent.kill()
        assert parent.communicate(timeout=60) == ("", None)


def test_a_pool_gives_its_workers_threads() -> None:
    with process_pool(1, threads=1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
