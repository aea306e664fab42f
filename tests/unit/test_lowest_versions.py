"""`make test-lowest` runs with the versions that pyproject.toml promises."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What the suite can be run with at its lowest; the other extras follow tools that change.
EXTRAS = ("data", "audit", "experiments", "tasks", "fast")


def test_lowest_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"]]
    for extra in EXTRAS:
        listed += project["optional-dependencies"][extra]
    asked = [entry.partition(">=") for entry in listed if not entry.startswith("wavevit[")]
    text = (ROOT / "constraints-lowest.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, re.M))

    def trimmed(version: str) -> str:
        return re.sub(r"(\.0)+$", "", version)

    promised = {name: trimmed(version) for name, _, version in asked}
    assert {name: trimmed(version) for name, version in pinned.items()} == promised
