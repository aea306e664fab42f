"""Processes of a pool end with the process that made it."""

from __future__ import annotations

import ctypes
import inspect
import mmap
import os
import platform
import subprocess
import sys

import pytest
import torch

from experiments.core.kept_memory import keep_memory
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


def test_keeping_memory_does_nothing_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(name: str | None) -> None:
        raise TypeError("argument of type 'NoneType' is not iterable")

    monkeypatch.setattr(ctypes, "CDLL", refuses)
    keep_memory()


PAGES_OF_A_RESULT = 2**26 // mmap.PAGESIZE


def _pages_of_ten_results() -> int:
    """Fresh pages of memory that ten results of 64 MB took, after one that is not counted.

    Huge pages are off in the process: with them the kernel counts 2 MB as one page.
    """
    import ctypes
    import resource

    disable_huge_pages = 41  # PR_SET_THP_DISABLE of sys/prctl.h
    assert ctypes.CDLL(None).prctl(disable_huge_pages, 1, 0, 0, 0) == 0

    def pages() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    torch.zeros(16, 2**20)
    before = pages()
    for _ in range(10):
        torch.zeros(16, 2**20)
    return pages() - before


# torch can have an allocator of its own on other processors.
@pytest.mark.skipif(
    (platform.libc_ver()[0], platform.machine()) != ("glibc", "x86_64"),
    reason="not the C library glibc on x86_64",
)
def test_a_process_of_a_pool_finds_its_freed_memory_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", "LD_PRELOAD"):
            monkeypatch.delenv(name)
    with process_pool(1, threads=1) as pool:
        assert pool.submit(_pages_of_ten_results).result() <= 4 * PAGES_OF_A_RESULT
    # Negative control: a process that was not told to.
    code = f"{inspect.getsource(_pages_of_ten_results)}\nprint(_pages_of_ten_results())"
    command = [sys.executable, "-c", f"import torch\n{code}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) >= 8 * PAGES_OF_A_RESULT
