"""The command line: the installed script ``wavevit``, and ``python -m wavevit``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line; if a package is missing, prints which extra to install."""
    try:
        from wavevit.cli import main as run
    except ImportError as error:
        sys.stderr.write(f"wavevit: {error}\n")
        sys.exit(2)  # wrong usage, see `wavevit.cli`
    run()


if __name__ == "__main__":
    main()
