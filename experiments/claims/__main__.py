"""Verdicts of the claims, and everything it rests on: ``python -m experiments claims``.

Without ``--run`` it prints each claim's verdict and command. With it, it runs every command once
(studies are resumed, equal runs are trained once), keeps their records and regenerates the pages.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.claims.claim import Claim
from experiments.claims.data import data_words
from experiments.claims.expected_time import expected_seconds
from experiments.claims.ledger import CLAIMS
from experiments.claims.records import finding_of, records_of
from experiments.claims.time_taken import TimeTaken
from experiments.core.records import RECORDS, environment, write_json
from experiments.core.usage import old_command
from experiments.studies import STUDIES
from wavevit.command_line import read_options
from wavevit.progress import Progress

RUNS = Path("runs")  # where the commands keep their runs


@dataclass
class Options:
    """Show the verdict of each claim, or make all records of the claims again."""

    run: bool = False
    """Run every command that makes a record. This takes hours: the time left is shown, estimated
    from the records. Run the command again to resume after a stop. Claims about data that you have
    to fetch first are left out. The total time from an empty folder of runs is recorded."""


def _studies(claim: Claim) -> list[str]:
    """The studies among a claim's records."""
    return [name.partition("/")[0] for name in claim.records if name.endswith("summary.json")]


def commands(claims: Iterable[Claim]) -> list[str]:
    """What makes these claims' records and then the docs, each command once: studies first, since
    measurements take models that a study has trained. Claims whose data have to be fetched first
    are left out."""
    studies: dict[str, None] = {}
    others: dict[str, None] = {}
    for claim in claims:
        if claim.fetched:
            continue
        names = [name for name in _studies(claim) if name in STUDIES]
        for name in names:
            studies[f"python -m experiments run {name}"] = None
            studies[f"python -m experiments report {name} --record"] = None
        if len(names) < len(claim.records):  # no study makes them all
            others[claim.command] = None
    return list(dict.fromkeys([*studies, *others, "python -m experiments report"]))


def _stop(number: int, frame: object) -> None:
    raise SystemExit("Stopped. Run the command again to resume.")


def _run() -> None:
    """Every command in turn; stops at the first that fails."""
    todo, taken = commands(CLAIMS), TimeTaken(RUNS)
    with Progress(expected_seconds(todo, taken.done), bar=False) as progress:
        for command in todo:
            print(f"\n$ {command}", flush=True)
            progress.begin(command)
            python, *arguments = shlex.split(command)
            assert python == "python"
            process = subprocess.Popen([sys.executable, *arguments])
            code = taken.by(command, process)
            if code:
                raise SystemExit(f"{command} ended with {code}; run the command again to resume.")
            progress.end()
    if taken.from_nothing(todo):
        where = environment(torch.device("cpu"), torch.get_num_threads())
        write_json(RECORDS / "claims" / "run.json", {"environment": where, **taken.record()})


def main(words: Sequence[str]) -> None:
    """The command line, with what is typed behind ``claims``."""
    program = "python -m experiments claims"
    options = read_options(Options, prog=program, description=Options.__doc__, arguments=words)
    if options.run:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        _run()
        return
    for claim in CLAIMS:
        records = records_of(claim)
        finding = finding_of(claim, records)
        verdict = finding.verdict.text(data_words(claim, finding, records)).replace("**", "")
        print(f"{claim.id:4} {verdict}\n     {claim.sentence}\n     {claim.command}\n")


if __name__ == "__main__":
    old_command(["claims", *sys.argv[1:]])
