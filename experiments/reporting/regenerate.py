"""Every generated text of the docs, made anew from the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.claims.ledger import CLAIMS
from experiments.claims.page import claim_page, ledger_table, page_of
from experiments.core.experiment import DOCS, Experiment
from experiments.core.marked import marked
from experiments.core.records import RECORDS, load_record, read_json
from experiments.core.registry import all_experiments
from experiments.reporting import carry, citations, comparison, reproduce, tasks
from wavevit.files import write_whole
from wavevit.progress import in_steps


@dataclass(frozen=True)
class Generated:
    """A file with generated text.

    Attributes:
        path: of the page or of the piece that pages include.
        render: the text that the file has (empty if it is not there) to the one that it should
            have by the records.
    """

    path: Path
    render: Callable[[str], str]

    def wanted(self) -> str:
        """What the file should hold.

        Raises:
            ValueError: the records and the file do not fit together; the message begins with the
                file.
        """
        try:
            return self.render(self.path.read_text() if self.path.exists() else "")
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error


def _shown(one: Experiment) -> Iterator[Generated]:
    """What of the docs follows from the records of an experiment."""
    for record in one.commands():
        if (RECORDS / record).exists():
            data = load_record(record)
            for view in one.views(record, data):
                yield Generated(view.path, partial(view.text, data))


def _part(page: Path, name: str, text: str) -> Generated:
    """A page with one marked part."""
    return Generated(page, lambda old: marked(old, name, text))


def generated() -> list[Generated]:
    """Every file with text that follows from records."""
    found = [file for one in all_experiments() for file in _shown(one)]
    record = read_json(comparison.RECORD)
    found.append(Generated(comparison.PAGE, partial(comparison.page_with, record)))
    for claim in CLAIMS:
        found.append(Generated(page_of(claim), partial(claim_page, claim)))
    found.append(_part(DOCS / "claims.md", "ledger", ledger_table()))
    found.append(Generated(carry.PAGE, carry.page_with))
    found.append(Generated(reproduce.PAGE, reproduce.page_with))
    found.append(Generated(tasks.PAGE, tasks.page_with))
    found += [Generated(page, citations.page_with) for page in citations.PAGES]
    return found


def regenerate() -> list[Path]:
    """Writes tables and pages; returns the files whose text changed."""
    changed = []
    for file in in_steps(generated(), lambda file: file.path.name):
        text = file.wanted()
        if not file.path.exists() or file.path.read_text() != text:
            write_whole(file.path, text.encode())
            changed.append(file.path)
    return changed
