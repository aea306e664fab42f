"""Numbers of Hypothesis examples: a slow law has few by day, and its share of many at night."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.examples import DAILY, examples


@pytest.fixture
def profile() -> Iterator[None]:
    now = settings.get_current_profile_name()
    yield
    settings.load_profile(now)


@pytest.mark.parametrize(
    ("name", "daily", "count"),
    [("dev", 3, 3), ("ci", 20, 20), ("nightly", 3, 200), ("nightly", DAILY, 1000)],
)
@pytest.mark.usefixtures("profile")
def test_daily_number_caps_the_daily_profiles_only(name: str, daily: int, count: int) -> None:
    settings.load_profile(name)
    assert examples(daily=daily).max_examples == count


@pytest.mark.usefixtures("profile")
def test_no_law_gets_more_than_the_nightly_profile_has() -> None:
    settings.load_profile("nightly")
    assert examples(daily=2 * DAILY).max_examples == settings().max_examples


def test_no_law_fixes_its_number_for_the_nightly_run() -> None:
    fixed = re.compile(r"^(@|\w+ = )settings\(max_examples=\d", re.MULTILINE)
    assert fixed.search("@settings(max_examples=5)\n@given()")
    here = Path(__file__).parents[1]
    found = [path.name for path in here.rglob("*.py") if fixed.search(path.read_text())]
    assert not found, f"use tests.examples.examples(daily=…) in {found}"
