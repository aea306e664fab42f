"""The reproduction page's table: what made each record, on what, in how long.

Commands come from the experiments; hardware and versions are read from each record.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.claims.ledger import CLAIMS
from experiments.core.experiment import DOCS
from experiments.core.marked import marked
from experiments.core.page_templates import render
from experiments.core.records import RECORDS, read_json, seconds_taken
from experiments.core.registry import all_experiments
from experiments.core.study import Study
from experiments.core.table import Table

PAGE = DOCS / "reproduce.md"


class Made(NamedTuple):
    """How a record is made.

    Attributes:
        command: from the repository's root.
        minutes: on the record's hardware, as last seen; empty where nobody noted it.
        seeds: that the command trains without ``--seeds``; empty if it is not a study's.
    """

    command: str
    minutes: str = ""
    seeds: tuple[int, ...] = ()


# Records that no experiment makes.
MADE_BY = {
    "audit/audit.json": Made("wavevit audit MODEL --against MODELS (audit.md names them)", "6"),
    "tokenizers_drawn_start/summary.json": Made(
        "git checkout 2e1618a && make ablation STUDY=tokenizers", "17"
    ),
    "claims/run.json": Made("python -m experiments claims --run"),
    "comparison/facts.json": Made("by hand; python -m experiments report writes the page"),
}
MINUTES = {
    "alias_free/summary.json": "6, four side by side",
    "tokenizers_large/summary.json": "5, four side by side",
}


def made_by() -> dict[str, Made]:
    """By record (its file below the records' folder), how it is made."""
    found = {
        record: Made(
            command,
            MINUTES.get(record, one.minutes.get(record, "")),
            one.seeds if isinstance(one, Study) else (),
        )
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
    seconds = seconds_taken(record, cores=2)
    if seconds is not None:
        return seconds / 60
    made = command_of(name)
    return float(made.minutes) if made is not None and made.minutes.isdigit() else None


def _minutes(name: str, record: Mapping[str, Any], made: Made) -> str:
    """The cell of the table."""
    taken = minutes_of(name, record)
    if taken is not None and "seconds" in record:
        return f"{max(taken, 0.1):.1f}"
    if taken is not None and record.get("core_minutes"):
        return f"{taken:.0f} on two cores"
    return made.minutes or "not noted"


def with_seeds(made: Made, record: Mapping[str, Any]) -> str:
    """The command, with the seeds of the record where they are not those of the study."""
    if not made.seeds or "seeds" not in record:
        return made.command
    found = sorted({seed for seeds in record["seeds"].values() for seed in seeds})
    if tuple(found) == made.seeds:
        return made.command
    run, *others = made.command.split(" && ")
    return " && ".join([f"{run} --seeds {' '.join(map(str, found))}", *others])


def _table(records: Path) -> str:
    """A row for each record that names its machine."""
    rows = []
    for path in sorted(records.glob("*/*.json")):
        record = read_json(path)
        environment = record.get("environment") if isinstance(record, dict) else None
        if not environment:
            continue
        name = path.relative_to(records).as_posix()
        made = command_of(name) or Made("?")
        where = (_hardware(environment), _versions(environment))
        rows.append(
            (f"`{name}`", f"`{with_seeds(made, record)}`", _minutes(name, record, made), *where)
        )
    return Table(("record", "command", "minutes", "hardware", "software"), rows).markdown()


def page_with(page: str, records: Path = RECORDS) -> str:
    """The page with its table from the records."""
    # Of a claim whose data have to be fetched nothing is made in one go.
    wanted = {name for claim in CLAIMS if not claim.fetched for name in claim.records}
    names = sorted(name for name in wanted if (records / name).exists())
    taken = {name: minutes_of(name, read_json(records / name)) for name in names}
    run = records / "claims" / "run.json"
    whole = f"{read_json(run)['seconds'] / 60:.0f}" if run.exists() else None
    text = render(
        "reproduce.md.j2",
        table=_table(records),
        rests_on=len(names),
        minutes=f"{sum(minutes for minutes in taken.values() if minutes is not None):.0f}",
        unknown=[f"`{name}`" for name, minutes in taken.items() if minutes is None],
        whole=whole,
    )
    return marked(page, "reproduce", text)
