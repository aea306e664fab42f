"""What a command line of the experiments says of wrong usage, and its exit status."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["wrong_usage"]


def wrong_usage(program: str, error: Exception) -> NoReturn:
    """Ends the program with a line that says what is wrong, and with status 2.

    1 is the status of work that failed: runs that are not complete, or an error with a traceback.
    """
    print(f"{program}: {error}", file=sys.stderr)
    raise SystemExit(2) from None
