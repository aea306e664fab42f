"""Commands of Python in processes that need not import the large libraries first.

A test of a command line needs a process of its own, and most of its seconds are spent on imports of
torch and others. `run` forks such a process from a server that has imported them, and nothing of
ours: what our packages import, register and compute is new in each process.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

__all__ = ["run", "server", "start"]

# timm is not among them: a test sees how it is imported beside a torchvision of another torch.
_PRELOADED = ["torch", "torch._dynamo", "torch._decomp.decompositions_for_jvp", "numba"]
_PRELOADED += ["scipy.optimize", "scipy.stats", "matplotlib.pyplot", "skimage", "tyro"]


@contextmanager
def server() -> Iterator[ForkServerContext]:
    """The server, for processes that are started inside of ``with server() as context``."""
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    # Threads of numerical libraries are counted when these are imported, and so by the server.
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield context
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def start(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    output: tuple[str, str] = (os.devnull, os.devnull),
    new_session: bool = False,
) -> BaseProcess:
    """Starts a command without waiting for it.

    Args:
        command: ``[sys.executable, "-c", code, …]`` or ``[sys.executable, "-m", module, …]``.
        cwd: folder to run in; by default this one.
        env: the environment; by default that of this process.
        output: files for what it prints, and for its errors.
        new_session: make it the leader of a session, and so of a group of processes.
    """
    interpreter, *arguments = map(str, command)
    assert interpreter == sys.executable
    place, variables = str(cwd or Path.cwd()), dict(os.environ if env is None else env)
    with server() as context:
        process = context.Process(
            target=_become, args=(arguments, place, variables, output, new_session), daemon=False
        )
        process.start()
    return process


def run(
    command: Sequence[str],
    *,
    capture_output: bool = True,
    text: bool = True,
    check: bool = False,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of this interpreter, for the arguments that tests give it."""
    assert capture_output
    assert text
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder) / "out", Path(folder) / "errors"
        process = start(command, cwd=cwd, env=env, output=(str(out), str(errors)))
        process.join()
        done = subprocess.CompletedProcess(
            command, process.exitcode or 0, out.read_text(), errors.read_text()
        )
    if check:
        done.check_returncode()
    return done


def _become(
    arguments: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    output: tuple[str, str],
    new_session: bool,
) -> None:
    """What a new interpreter does with its arguments, in a process of the server."""
    for number, path in zip((1, 2), output, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    if new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    option, what, *rest = arguments
    if option == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert option == "-c"
        sys.argv = [option, *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
