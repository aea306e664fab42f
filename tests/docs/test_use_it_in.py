"""The list of outside tools has the pinned versions and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "use-it-in.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("| tool | version |")[2].splitlines()[2:]
    if line.startswith("|")
]


def test_versions_are_the_pinned_ones() -> None:
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    versions = {tool: version.strip("`") for tool, version, *_ in ROWS}
    pinned_tools = versions.keys() & pinned.keys()
    assert {"timm", "transformers", "torchao", "peft", "open_clip_torch"} <= pinned_tools
    assert versions.keys() - pinned_tools == {"timm's scripts"}
    assert {tool: versions[tool] for tool in pinned_tools} == {t: pinned[t] for t in pinned_tools}


def test_the_named_tests_exist() -> None:
    for tool, _, _, tests, when in ROWS:
        files = re.findall(r"`(test_\w+\.py)`", tests)
        assert files or "this page" in tests, tool
        for file in files:
            text = (ROOT / "tests" / "contract" / file).read_text()
            assert ("nightly" in text) or when == "daily", file
