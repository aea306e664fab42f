"""About how long each command of the ledger will take, from the records that it made before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from experiments.core.records import RECORDS, read_json, seconds_taken
from experiments.core.registry import all_experiments


def expected_seconds(
    commands: Sequence[str], done: Sequence[str] = (), records: Path = RECORDS
) -> list[float]:
    """Seconds of each command, for an estimate of the time left.

    What has no record yet counts as much as the mean of what has one. A report, and a command that
    was done before and only finds that, count as much as the shortest.

    Args:
        commands: of the ledger.
        done: those that were done before.
        records: folder of the records.
    """
    known: dict[str, float] = {}
    cores = len(os.sched_getaffinity(0))
    for one in all_experiments():
        for record, command in one.commands().items():
            path = records / record
            seconds = seconds_taken(read_json(path), cores) if path.exists() else None
            first = command.partition(" && ")[0]
            if seconds is not None and first in commands:
                known[first] = seconds
    times = known.values() or (1.0,)
    shortest, usual = min(times), fmean(times)
    return [
        shortest if command in done or "report" in command.split() else known.get(command, usual)
        for command in commands
    ]
