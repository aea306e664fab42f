"""Records that say something else, for the tests that pages follow them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from experiments.core.records import RECORDS


def _changed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _changed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(item) for item in value]
    return value * 1.25 if isinstance(value, float) else value


@pytest.fixture
def other_records(tmp_path: Path) -> Callable[[Iterable[str]], Path]:
    """Writes the named records with every figure a quarter larger; returns their folder."""

    def write(names: Iterable[str]) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_changed(json.loads((RECORDS / name).read_text()))))
        return tmp_path

    return write
