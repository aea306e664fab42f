"""The old command line of studies: ``python -m experiments run STUDY`` is the new one."""

from __future__ import annotations

import sys

from experiments.core.usage import old_command

if __name__ == "__main__":
    old_command(["run", *sys.argv[1:]])
