"""Every block of Python on a page of the docs runs, in the page's order."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Their own tests run all their code, and look at what it prints.
ELSEWHERE = ("shift-invariance.md", "how-a-swin-becomes-a-wavelet-pyramid.md")
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if BLOCK.search(page.read_text()) and page.name not in ELSEWHERE
]


def test_some_pages_have_code() -> None:
    assert DOCS / "quickstart.md" in PAGES


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")  # of pytorch-wavelets
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_code_on_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with pictures, which some pages read: photographs, and a folder for each class.
    Files may be written."""
    monkeypatch.chdir(tmp_path)
    for place, count in (("photographs", 2), ("birds/robin", 5), ("birds/wren", 5)):
        (tmp_path / place).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng(index).integers(0, 256, (96, 120, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / place / f"{index}.png")
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, str(page), "exec"), names)
