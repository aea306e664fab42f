"""Command lines: wrong usage, old names of commands, and what a user stops."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from wavevit.command_line import read_options
from wavevit.deprecated import REMOVED_IN


def wrong_usage(program: str, error: Exception) -> NoReturn:
    """Ends the program with a line that says what is wrong, and with status 2.

    1 is the status of work that failed: runs that are not complete, or an error with a traceback.
    """
    print(f"{program}: {error}", file=sys.stderr)
    raise SystemExit(2) from None


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
