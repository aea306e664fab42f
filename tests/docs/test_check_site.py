"""The check of the built site sees what a page would fetch, and what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_site", DOCS / "check_site.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/f.css">',
        '<img src="http://example.org/a.png">',
    ],
)
def test_a_page_that_fetches_is_found(check: ModuleType, tmp_path: Path, page: str) -> None:
    (tmp_path / "index.html").write_text(page)
    assert len(check.remote_loads(tmp_path)) == 1


def test_a_style_that_fetches_is_found(check: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example/f.woff') }")
    assert len(check.remote_loads(tmp_path)) == 1


def test_links_and_own_files_are_none(check: ModuleType, tmp_path: Path) -> None:
    page = (
        '<a href="https://arxiv.org"></a><img src="a.png"><link rel="canonical" href="https://x">'
    )
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "a.css").write_text("a { background: url(data:image/png;base64,AA) }")
    assert check.remote_loads(tmp_path) == []


def test_a_site_without_search_is_found(check: ModuleType, tmp_path: Path) -> None:
    assert len(check.missing_search(tmp_path)) == 4


def test_sources_load_nothing_from_a_network(check: ModuleType, tmp_path: Path) -> None:
    """Pages that we write as HTML, and styles; what Sphinx makes of the rest `make docs` checks."""
    assert check.remote_loads(DOCS / "_static") == []
