"""The page of the comparison, from the facts that were checked.

    python -m experiments.reporting.comparison    # the page's tables from the record

The facts in ``experiments/records/comparison/facts.json`` were gathered by hand: each says where it
stands (a file of the project at a named commit, a release on PyPI) and whether we ran or read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.core.marked import marked

__all__ = ["CLAIMS", "PAGE", "RECORD", "page_with"]

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

Project = Mapping[str, Any]


def _origin(project: Project) -> str:
    """The project's repository at the commit that was looked at."""
    if not project["repository"]:
        return project["work"]
    address = f"https://github.com/{project['repository']}"
    commit = f"[{project['repository']}]({address}) at `{project['commit']}`"
    return f"{project['work']}; {commit}" + (
        f" of {project['committed']}" if project["committed"] else ""
    )


def _rows(project: Project) -> Iterator[str]:
    """One fact a row: what is asked, what was found, how, and where."""
    yield f"### {project['name']}\n"
    yield f"{_origin(project)}.\n"
    yield "| asked | found | how | where |"
    yield "|---|---|---|---|"
    for fact in project["facts"]:
        cells = (CLAIMS[fact["claim"]], fact["value"], fact["how"], fact["source"] or "–")
        yield f"| {' | '.join(cells)} |"
    yield ""


def _overview(record: Mapping[str, Any]) -> Iterator[str]:
    """The same in a few words each."""
    short = [claim for claim in CLAIMS if claim != "filters"]
    yield f"| project | {' | '.join(CLAIMS[claim] for claim in short)} |"
    yield "|---" * (len(short) + 1) + "|"
    for project in record["projects"]:
        cells = [project["name"], *(project["brief"][claim] for claim in short)]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    packages = record["environment"]["packages"]
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    yield f"Checked on {record['checked']}; what was run, ran on a CPU with Python"
    yield f"{record['environment']['python']}, {versions}, {record['weights']} weights.\n"
    yield "## At a glance\n"
    yield from _overview(record)
    for group, title in GROUPS.items():
        yield f"## {title}\n"
        for project in record["projects"]:
            if project["group"] == group:
                yield from _rows(project)


def page_with(record: Mapping[str, Any], page: str) -> str:
    """The page with its generated part from the record."""
    return marked(page, "comparison", "\n".join(_lines(record)).strip())


def main() -> None:
    """Writes the page."""
    page = PAGE.read_text()
    PAGE.write_text(page_with(json.loads(RECORD.read_text()), page))


if __name__ == "__main__":
    main()
