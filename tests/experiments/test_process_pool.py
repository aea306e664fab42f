"""Processes of a pool end with the process that made it."""

from __future__ import annotations

import inspect
import mmap
import platform
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


PAGES_OF_A_RESULT = 2**26 // mmap.PAGESIZE


def _pages_of_ten_results() -> int:
    """Fresh pages of memory that ten results of 64 MB took, after one that is not counted."""
    import resource

    def pages() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    torch.zeros(16, 2**20)
    before = pages()
    for _ in range(10):
        torch.zeros(16, 2**20)
    return pages() - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_a_process_of_a_pool_finds_its_freed_memory_again() -> None:
    with process_pool(1, threads=1) as pool:
        assert pool.submit(_pages_of_ten_results).result() <= 4 * PAGES_OF_A_RESULT
    # Negative control: a process that was not told to.
    code = f"{inspect.getsource(_pages_of_ten_results)}\nprint(_pages_of_ten_results())"
    command = [sys.executable, "-c", f"import torch\n{code}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) >= 8 * PAGES_OF_A_RESULT
