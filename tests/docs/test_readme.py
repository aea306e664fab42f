"""What the README says is true: its code runs, its table is the record, its files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
# Tables that once stood in it, and where they went.
MOVED = {"tokenizers": "axes/tokenizers.md", "patch_vs_wavelet": "when-the-image-moves.md"}


def test_the_example_is_short() -> None:
    """That it runs and keeps its promises: tests/unit/test_wheel.py, in a new environment."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(code.splitlines()) <= 10


@pytest.mark.parametrize(
    ("study", "page"),
    MOVED.items(),
)
def test_the_tables_that_moved_are_the_recorded_ones(study: str, page: str) -> None:
    table = (ROOT / "experiments" / "records" / study / "table.md").read_text().strip()
    text = (ROOT / "docs" / page).read_text()
    assert table in text or f"records/{study}/table.md" in text


def test_files_that_it_names_exist() -> None:
    targets = [*re.findall(r"\]\(([^)#]+)\)", README), "CITATION.cff", "LICENSE"]
    assert len(targets) > 10
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, re.M)) | {"install", "lint"}:
        assert re.search(rf"^{target}:", makefile, re.M), target
