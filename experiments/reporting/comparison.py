"""The page of the comparison, from the facts that were checked.

    python -m experiments.reporting.comparison    # the page's tables from the record

The facts in ``experiments/records/comparison/facts.json`` were gathered by hand: each names its
source (a file of the project at a named commit, a release on PyPI) and whether we ran or read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.core.marked import marked
from experiments.core.page_templates import render
from experiments.core.table import Table

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "experiments" / "records" / "comparison" / "facts.json"
PAGE = ROOT / "docs" / "comparison.md"

CLAIMS = {
    "runs": "runs as it is",
    "filters": "filters",
    "inverse": "exact inverse",
    "size": "any size",
    "maps": "feature maps",
    "tests": "tests",
    "licence": "licence",
}
GROUPS = {
    "models": "Wavelet and spectral backbones",
    "shifts": "Shift-equivariant models",
    "libraries": "Transforms",
    "ours": "This project",
}


def _overview(projects: list[Mapping[str, Any]]) -> str:
    """A row a project, a few words a question."""
    short = [claim for claim in CLAIMS if claim != "filters"]
    rows = [[one["name"], *(one["brief"][claim] for claim in short)] for one in projects]
    return Table(["project", *(CLAIMS[claim] for claim in short)], rows).markdown()


def _facts(project: Mapping[str, Any]) -> str:
    """A row a fact: what is asked, what was found, how, and where."""
    rows = [
        (CLAIMS[fact["claim"]], fact["value"], fact["how"], fact["source"] or "–")
        for fact in project["facts"]
    ]
    return Table(("asked", "found", "how", "where"), rows).markdown()


def page_with(record: Mapping[str, Any], page: str) -> str:
    """The page with its generated part from the record."""
    projects = record["projects"]
    text = render(
        "comparison.md.j2",
        record=record,
        groups=GROUPS,
        overview=_overview(projects),
        facts={project["name"]: _facts(project) for project in projects},
    )
    return marked(page, "comparison", text.strip())


def main() -> None:
    """Writes the page."""
    page = PAGE.read_text()
    PAGE.write_text(page_with(json.loads(RECORD.read_text()), page))


if __name__ == "__main__":
    main()
