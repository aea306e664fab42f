"""Every generated text of the docs, made anew from the records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.benchmarks import (
    agreements,
    alignment,
    axes,
    backbones,
    filters,
    selection,
    shift_errors,
    transforms,
    transforms_cuda,
)
from experiments.claims.ledger import CLAIMS
from experiments.claims.page import claim_page, headline, ledger_page, page_of
from experiments.core.folder import write_bytes
from experiments.core.markdown import replaced_part
from experiments.core.records import RECORDS
from experiments.core.summary import StudySummary
from experiments.reporting import citations, comparison, reproduce
from experiments.reporting.tables import study_tables

__all__ = ["Generated", "generated", "regenerate", "study_records"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


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
        """What the file should hold."""
        return self.render(self.path.read_text() if self.path.exists() else "")


def study_records() -> dict[str, StudySummary]:
    """The recorded studies by their folder's name."""
    return {
        path.parent.name: StudySummary.from_dict(json.loads(path.read_text()))
        for path in sorted(RECORDS.glob("*/summary.json"))
    }


def _piece(path: Path, text: str) -> Generated:
    """A file that is generated from its first letter to its last."""
    return Generated(path, lambda _: text)


def _axis(axis: str) -> Iterator[Generated]:
    record = json.loads((RECORDS / "axes" / f"{axis}.json").read_text())
    yield _piece(axes.RECORDS / f"{axis}.md", axes.render(record) + "\n")
    yield Generated(axes.page_of(axis), partial(axes.page_with, record))


def _study(name: str, summary: StudySummary) -> Iterator[Generated]:
    for file, text in study_tables(summary).items():
        yield _piece(RECORDS / name / file, text)


def _headline(page: Path) -> Generated:
    """The ledger's short table on a page of the docs."""
    text = headline().strip()
    return Generated(page, lambda old: replaced_part(old, "headline", text))


def generated() -> list[Generated]:
    """Every file with text that follows from records."""
    found: list[Generated] = []
    tables = (
        *(agreements, alignment, comparison, filters),
        *(selection, shift_errors, transforms, transforms_cuda),
    )
    for module in tables:
        record = json.loads(module.RECORD.read_text())
        found.append(Generated(module.PAGE, partial(module.page_with, record)))
    for axis in axes.AXES:
        found += _axis(axis)
    for path in sorted((RECORDS / "latency").glob("*.json")):
        text = backbones.tables(json.loads(path.read_text()))
        found.append(_piece(path.with_suffix(".md"), text))
    for name, summary in study_records().items():
        found += _study(name, summary)
    for claim in CLAIMS:
        found.append(Generated(page_of(claim), partial(claim_page, claim)))
    found.append(Generated(DOCS / "claims.md", ledger_page))
    found.append(_headline(DOCS / "index.md"))
    found.append(Generated(reproduce.PAGE, reproduce.page_with))
    found += [Generated(page, citations.page_with) for page in citations.PAGES]
    return found


def regenerate() -> list[Path]:
    """Writes tables and pages; returns the files whose text changed."""
    changed = []
    for file in generated():
        text = file.wanted()
        if not file.path.exists() or file.path.read_text() != text:
            write_bytes(file.path, text.encode())
            changed.append(file.path)
    return changed
