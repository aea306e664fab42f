"""The old command line of the measurements: ``python -m experiments run NAME`` is the new one."""

from __future__ import annotations

import sys
from itertools import takewhile

from experiments.core.usage import old_command
from experiments.measurements import MEASUREMENTS

if __name__ == "__main__":
    names = list(takewhile(lambda word: not word.startswith("-"), sys.argv[1:]))
    options = sys.argv[1 + len(names) :]
    asked = names if names or {"-h", "--help"} & {*options} else list(MEASUREMENTS)
    old_command(*(["run", name, *options] for name in asked or [""]))
