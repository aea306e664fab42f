"""The page of the comparison, from the facts that were checked.

The facts in ``experiments/records/comparison/facts.json`` were gathered by hand: each names its
source (a file of the project at a named commit, a release on PyPI) and whether we ran or read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.core.experiment import DOCS
from experiments.core.marked import marked
from experiments.core.page_templates import render
from experiments.core.records import RECORDS
from experiments.core.table import Table

RECORD = RECORDS / "comparison" / "facts.json"
PAGE = DOCS / "comparison.md"

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
