"""What a record was measured on, in words: a verdict names the data that it holds for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.verdict import listed
from experiments.core.data_choice import data_in_words
from experiments.core.summary import StudySummary


def data_of(record: Any, default: str) -> str:
    """The data of a record.

    Args:
        record: a `StudySummary` names the source of its runs; plain data may say it under
            ``"data"``.
        default: for records that say nothing: the photographs that come with scikit-image.

    Example:
        >>> data_of({"data": "ImageNet pictures"}, "crops of 18 photographs")
        'ImageNet pictures'
    """
    if not isinstance(record, StudySummary):
        named = record.get("data") if isinstance(record, Mapping) else None
        return named if isinstance(named, str) else default
    return data_in_words(record.configs[record.baseline]) or default


def names_of_data(
    records: Mapping[str, Any], names: Mapping[str, str], default: str
) -> tuple[dict[str, str], str]:
    """What a claim on several data sets calls the data of its records.

    Args:
        records: those that are there.
        names: by record that may be there, what tables call its data; the first is there.
        default: as in `data_of`.

    Returns:
        By record that is there, the name of its data; and all data in words, for the verdict. Both
        are empty words where there is one data set: its name would be said again and again.
    """
    there = {record: name for record, name in names.items() if record in records}
    if len(there) == 1:
        return dict.fromkeys(there, ""), ""
    return there, listed([data_of(records[record], default) for record in there])


def data_words(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> str:
    """What a verdict holds for: what the finding names, or the data of all its records."""
    if finding.data:
        return finding.data
    found = [data_of(record, claim.data) for record in (records or {}).values()]
    return " and ".join(dict.fromkeys(found)) or claim.data
