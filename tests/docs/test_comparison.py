"""The comparison shows the facts that were checked, and every fact says where and how."""

from __future__ import annotations

import json
import re
from datetime import date

from experiments.reporting.comparison import CLAIMS, GROUPS, PAGE, RECORD, page_with

FACTS = json.loads(RECORD.read_text())


def test_a_changed_fact_makes_the_page_stale() -> None:
    changed = json.loads(RECORD.read_text())
    changed["projects"][0]["facts"][0]["value"] = "always"
    page = PAGE.read_text()
    assert page != page_with(changed, page)


def test_every_fact_has_its_source() -> None:
    assert date.fromisoformat(FACTS["checked"])
    for project in FACTS["projects"]:
        assert project["group"] in GROUPS
        assert tuple(fact["claim"] for fact in project["facts"]) == tuple(CLAIMS)
        assert set(project["brief"]) == set(CLAIMS) - {"filters"}
        if project["repository"]:
            assert re.fullmatch(r"[0-9a-f]{12}", project["commit"])
        for fact in project["facts"]:
            assert fact["how"] in ("run", "read")
            assert fact["source"] or fact["value"] == "not checked"
            assert "|" not in fact["value"] + fact["source"]
