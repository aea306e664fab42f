"""The page "Which transform?" shows the record and nothing else."""

from __future__ import annotations

import json

from experiments.benchmarks.shift_errors import PAGE, RECORD, page_with


def test_the_page_shows_the_record() -> None:
    page = PAGE.read_text()
    assert page == page_with(json.loads(RECORD.read_text()), page)
