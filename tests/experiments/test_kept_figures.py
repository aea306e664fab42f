"""Figures of a step are computed once for their settings, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.core.kept_figures import kept_figures


def test_figures_are_computed_again_only_for_other_settings(tmp_path: Path) -> None:
    computed: list[int] = []

    def compute() -> dict[str, Any]:
        computed.append(len(computed))
        return {"r": [0.1, 0.2], "place": len(computed)}

    path = tmp_path / "folder" / "measured.json"
    first = kept_figures(path, {"steps": 3}, compute)
    assert first == kept_figures(path, {"steps": 3}, compute) == {"r": [0.1, 0.2], "place": 1}
    assert kept_figures(path, {"steps": 4}, compute)["place"] == 2
    assert computed == [0, 1]


def test_nothing_is_kept_where_the_computation_fails(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"

    def fails() -> dict[str, Any]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        kept_figures(path, {}, fails)
    assert not path.exists()
    assert kept_figures(path, {}, lambda: {"a": 1}) == {"a": 1}
