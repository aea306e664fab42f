"""The records that claims rest on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.verdict import Verdict
from experiments.core import records


def records_of(claim: Claim) -> dict[str, Any] | None:
    """A claim's records by name, with the optional ones that are there; None where another one is
    not there yet."""
    if not all((records.RECORDS / name).exists() for name in claim.records):
        return None
    further = [name for name in claim.optional if (records.RECORDS / name).exists()]
    return {name: records.load_record(name) for name in (*claim.records, *further)}


def larger_records_of(claim: Claim) -> dict[str, Any] | None:
    """The records of the same studies at the larger scale, under the names of the smaller; None
    where the claim rests on something else, or where one is not there."""
    found = {}
    for name in claim.records:
        path = Path(name)
        larger = Path(f"{path.parent}_large") / path.name
        if path.name != "summary.json" or not (records.RECORDS / larger).exists():
            return None
        found[name] = records.load_record(str(larger))
    return found or None


def finding_of(claim: Claim, records: Mapping[str, Any] | None) -> Finding:
    """The claim's finding; "not measured" where a record is missing."""
    if not claim.records or records is None:
        return Finding(Verdict("not measured", claim.missing or "no record yet"), ())
    return claim.find(records)
