"""The records: JSON files below `experiments/records/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.core.summary import StudySummary

__all__ = ["RECORDS", "load_record"]

RECORDS = Path(__file__).parents[1] / "records"


def load_record(name: str) -> Any:
    """A record by its path below ``experiments/records/``: a `StudySummary` or plain data."""
    data = json.loads((RECORDS / name).read_text())
    return StudySummary.from_dict(data) if Path(name).name == "summary.json" else data
