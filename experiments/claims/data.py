"""What a record was measured on, in words: a verdict names the data that it holds for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
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


def data_words(claim: Claim, finding: Finding, records: Mapping[str, Any] | None) -> str:
    """What a verdict holds for: what the finding names, or the data of all its records."""
    if finding.data:
        return finding.data
    found = [data_of(record, claim.data) for record in (records or {}).values()]
    return " and ".join(dict.fromkeys(found)) or claim.data
