"""The examples run, and the docs show what they print."""

from __future__ import annotations

import re

import pytest

from experiments.reporting.examples import EXAMPLES, FOLDER, output_of, run, same
from tests import warm_python

PAGE = (FOLDER.parent / "examples.md").read_text()


def test_all_examples_are_there() -> None:
    asked = ("align_a_timm_model", "audit_a_model", "swap_a_tokenizer", "train_a_study")
    others = ("add_a_task", "add_a_tokenizer", "graft_a_timm_model", "transform_a_picture")
    assert set(EXAMPLES) == {*asked, *others}


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_prints_what_the_page_shows(name: str) -> None:
    kept = output_of(name).read_text()
    printed = run(name, warm_python.run)
    assert same(name, printed, kept), f"run python -m experiments.reporting.examples\n{printed}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_script_and_output(name: str) -> None:
    for path in (f"{name}.py", f"{name}.txt"):
        assert re.search(rf"^```{{literalinclude}} examples/{path}$", PAGE, re.M)


def test_another_output_is_not_the_same() -> None:
    kept = "patch 14 MMAC, R 0.31, exact True\n"
    assert same("any", "patch  14 MMAC, R 0.32, exact True\n", kept)
    assert not same("any", kept.replace("14", "15.5"), kept)
    assert not same("any", kept.replace("True", "False"), kept)
    assert not same("train_a_study", kept + "1 failed\n", kept)
    assert same("train_a_study", kept.replace("14", "99"), kept)
