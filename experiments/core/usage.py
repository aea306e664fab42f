"""Command lines: wrong usage, old names of commands, and what a user stops."""

from __future__ import annotations

import errno
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from wavevit.command_line import read_options
from wavevit.deprecated import REMOVED_IN

# Full disk, quota, size of a file, no rights, read-only, broken disk.
_OF_FILES = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
)


def wrong_usage(program: str, error: Exception) -> NoReturn:
    """Ends the program with a line that says what is wrong, and with status 2.

    1 is the status of work that failed: runs that are not complete, or an error with a traceback.
    """
    print(f"{program}: {error}", file=sys.stderr)
    raise SystemExit(2) from None


def stopped_by_files(program: str, error: OSError) -> NoReturn:
    """Ends the program with a line and with status 74, as `wavevit` does, where a file cannot be
    written: a full disk, no rights. Any other error of the system keeps its traceback."""
    if error.errno not in _OF_FILES or error.filename is None:
        raise error
    end = "When this is solved, run the command again to continue."
    print(f"{program}: {error.strerror}: {error.filename}. {end}", file=sys.stderr)
    raise SystemExit(74) from None


def run_command(program: str, options: type, run: Callable[[Any], object]) -> None:
    """Runs a command with the options that are typed; complaints come without a traceback."""
    try:
        run(read_options(options, prog=f"python -m {program}", description=options.__doc__))
    except (ValueError, ImportError) as error:
        wrong_usage(program, error)


def old_command(*commands: Sequence[str]) -> None:
    """Does what a command of the last version did, and says how it is named now.

    Args:
        commands: the words behind ``python -m experiments``, for one command after the other; the
            first that fails ends the program with its status.
    """
    for words in commands:
        new = " ".join(["python -m experiments", *words]).rstrip()
        print(f"wavevit {REMOVED_IN} removes this command. The new one is: {new}", file=sys.stderr)
        sys.argv = [sys.argv[0], *words]
        try:
            runpy.run_module("experiments", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
