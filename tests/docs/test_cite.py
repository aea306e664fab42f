"""One title, one version, one author, one licence, wherever a citation is given."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import wavevit

ROOT = Path(__file__).parents[2]
CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BIBTEX = dict(re.findall(r"^  (\w+) *= \{+(.*?)\}+,?$", (ROOT / "docs/cite.md").read_text(), re.M))


def test_cff_is_one() -> None:
    assert CFF["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "license", "type"} <= set(CFF)


def test_the_version_is_the_package_s() -> None:
    assert BIBTEX["version"] == str(CFF["version"]) == PROJECT["version"] == wavevit.__version__


def test_title_authors_and_licence_agree() -> None:
    assert BIBTEX["title"] == CFF["title"]
    authors = [author["name"] for author in CFF["authors"]]
    assert [BIBTEX["author"]] == authors == [author["name"] for author in PROJECT["authors"]]
    assert BIBTEX["license"] == CFF["license"] == PROJECT["license"]
    assert BIBTEX["year"] == str(CFF["date-released"].year)
