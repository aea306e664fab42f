"""The ledger at a glance, and everything it rests on: ``python -m experiments.claims``.

Without ``--run`` it prints each claim's verdict and command. With it, it runs every command once
(studies are resumed, equal runs are trained once), keeps their records and regenerates the pages.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import tyro

from experiments.claims.claim import Claim
from experiments.claims.ledger import CLAIMS
from experiments.claims.records import finding_of, records_of
from experiments.studies import STUDIES

__all__ = ["Options", "commands", "main"]


@dataclass
class Options:
    """Show the claims ledger, or make everything that it rests on anew."""

    run: bool = False
    """Run what the records come from: between three and four hours on two cores."""


def _studies(claim: Claim) -> list[str]:
    """The studies among a claim's records."""
    return [name.partition("/")[0] for name in claim.records if name.endswith("summary.json")]


def commands(claims: Iterable[Claim]) -> list[str]:
    """What makes these claims' records and then the docs, each command once, in order."""
    found: dict[str, None] = {}
    for claim in claims:
        studies = [name for name in _studies(claim) if name in STUDIES]
        for name in studies:
            found[f"python -m experiments.run {name}"] = None
            found[f"python -m experiments.report {name} --record"] = None
        if not studies:
            found[claim.command] = None
    return [*found, "python -m experiments.report"]


def main() -> None:
    """The command line."""
    options = tyro.cli(Options, prog="python -m experiments.claims", description=Options.__doc__)
    if not options.run:
        for claim in CLAIMS:
            verdict = finding_of(claim, records_of(claim)).verdict.text().replace("**", "")
            print(f"{claim.id:4} {verdict}\n     {claim.sentence}\n     {claim.command}\n")
        return
    for command in commands(CLAIMS):
        print(f"\n$ {command}", flush=True)
        python, *arguments = shlex.split(command)
        assert python == "python"
        done = subprocess.run([sys.executable, *arguments], check=False)
        if done.returncode:
            raise SystemExit(f"{command} ended with {done.returncode}; the same command goes on.")


if __name__ == "__main__":
    main()
