"""Figures of one step of a measurement, kept in a file, so that a killed command continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.core.records import read_json, write_json


def kept_figures(
    path: Path, settings: Mapping[str, Any], compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The figures in a file, if it has them for these settings; else computed, and kept there.

    Args:
        path: of the file.
        settings: all that the figures follow from, as JSON gives it back.
        compute: the figures, plain data.
    """
    if path.exists():
        held = read_json(path)
        if held["settings"] == settings:
            return dict(held["figures"])
    found = compute()
    write_json(path, {"settings": dict(settings), "figures": found})
    return found
