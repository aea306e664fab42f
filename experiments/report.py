"""The old command line of reports: ``python -m experiments report STUDY`` is the new one."""

from __future__ import annotations

import sys

from experiments.core.usage import old_command

if __name__ == "__main__":
    old_command(["report", *sys.argv[1:]])
