"""The reproduction page's table: what made each record, on what, in how long.

    python -m experiments.reporting.reproduce    # the table from the records

Commands come from the experiments; hardware and versions are read from each record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.claims.ledger import CLAIMS
from experiments.core.marked import marked
from experiments.core.registry import all_experiments

__all__ = ["MADE_BY", "PAGE", "RECORDS", "command_of", "made_by", "minutes_of", "page_with"]

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "experiments" / "records"
PAGE = ROOT / "docs" / "reproduce.md"


class Made(NamedTuple):
    """How a record is made.

    Attributes:
        command: from the repository's root.
        minutes: on the record's hardware, as last seen; empty where nobody noted it.
    """

    command: str
    minutes: str = ""


# Records that no experiment makes.
MADE_BY = {
    "audit/audit.json": Made("wavevit audit MODEL --against MODELS (audit.md names them)", "6"),
    "claims/run.json": Made("python -m experiments claims --run"),
    "comparison/facts.json": Made(
        "by hand; python -m experiments.reporting.comparison writes the page"
    ),
}
MINUTES = {
    "alias_free/summary.json": "6, four side by side",
    "tokenizers_large/summary.json": "5, four side by side",
}


def made_by() -> dict[str, Made]:
    """By record (its file below the records' folder), how it is made."""
    found = {
        record: Made(command, MINUTES.get(record, one.minutes.get(record, "")))
        for one in all_experiments()
        for record, command in one.commands().items()
    }
    return found | MADE_BY


def command_of(name: str) -> Made | None:
    """How the record in this file below the records' folder is made; None if nobody said."""
    return made_by().get(name)


def _hardware(environment: Mapping[str, Any]) -> str:
    name = environment.get("device_name", environment.get("machine", environment.get("device", "")))
    threads = environment.get("threads")
    return f"{name}, {threads} thread{'s' if threads != 1 else ''}" if threads else str(name)


def _versions(environment: Mapping[str, Any]) -> str:
    packages = environment.get("packages", {})
    torch = packages.get("torch", environment.get("torch", "?"))
    wanted = ("numba", "timm", "pytorch-wavelets", "ptwt")
    more = [f"{name} {packages[name]}" for name in wanted if name in packages]
    python = [f"Python {environment['python']}"] if "python" in environment else []
    return ", ".join([*python, f"torch {torch}", *more])


def minutes_of(name: str, record: Mapping[str, Any]) -> float | None:
    """How long a record of a study or a measurement took; None where nobody noted it."""
    if "seconds" in record:
        return float(record["seconds"]) / 60
    if record.get("core_minutes"):
        return float(record["core_minutes"]) / 2
    made = command_of(name)
    return float(made.minutes) if made is not None and made.minutes.isdigit() else None


def _together(records: Path) -> str:
    """How long everything takes that the ledger rests on."""
    names = sorted({name for claim in CLAIMS for name in claim.records})
    taken = {name: minutes_of(name, json.loads((records / name).read_text())) for name in names}
    unknown = [name for name, minutes in taken.items() if minutes is None]
    total = sum(minutes for minutes in taken.values() if minutes is not None)
    rest = f", and {', '.join(f'`{name}`' for name in unknown)} not noted" if unknown else ""
    each = (
        f"What the [claims](claims.md) rest on is {len(names)} of these lines, together "
        f"{total:.0f} minutes on two cores{rest}."
    )
    whole, how = records / "claims" / "run.json", "(`python -m experiments claims --run`)"
    if not whole.exists():
        return (
            f"{each} In one go {how} it is less: a study takes the equal runs of those before it."
        )
    minutes = json.loads(whole.read_text())["seconds"] / 60
    return (
        f"{each} In one go, from nothing {how}, it took **{minutes:.0f} minutes**: a study takes "
        "the equal runs of those before it."
    )


def _lines(records: Path) -> Iterator[str]:
    yield "| record | command | minutes | hardware | software |"
    yield "|---|---|---|---|---|"
    for path in sorted(records.glob("*/*.json")):
        record = json.loads(path.read_text())
        environment = record.get("environment") if isinstance(record, dict) else None
        if not environment:
            continue
        name = path.relative_to(records).as_posix()
        made = command_of(name) or Made("?")
        taken, minutes = minutes_of(name, record), made.minutes or "not noted"
        if taken is not None and "seconds" in record:
            minutes = f"{max(taken, 0.1):.1f}"
        elif taken is not None and record.get("core_minutes"):
            minutes = f"{taken:.0f} on two cores"
        yield (
            f"| `{name}` | `{made.command}` | {minutes} | "
            f"{_hardware(environment)} | {_versions(environment)} |"
        )


def page_with(page: str, records: Path = RECORDS) -> str:
    """The page with its table from the records."""
    lines = [*_lines(records), "", _together(records)]
    return marked(page, "reproduce", "\n".join(lines))


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page_with(PAGE.read_text()))


if __name__ == "__main__":
    main()
