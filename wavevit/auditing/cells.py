"""Cells of the audit's tables as text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["cell", "normalized"]


def cell(value: float | None, digits: int) -> str:
    """A figure of the main table; a small one keeps a digit that says something."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if 0 < abs(value) < 10**-digits:
        return f"{value:.1g}"
    return f"{value:.{digits}f}"


def normalized(entry: Mapping[str, Any]) -> str:
    """How the pictures of one model were normalised, and where that comes from."""
    norm = entry["normalization"]
    mean, std = (
        f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{v:g}" for v in values)
        for values in (norm["mean"], norm["std"])
    )
    return f"mean {mean}, standard deviation {std} ({entry['normalization_source']})"
