"""The page "How to make your ViT shift-invariant": its code runs, its tables are the record."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from experiments.core.experiment import DOCS

PAGE = DOCS / "shift-invariance.md"


def test_first_example_is_shift_invariant(capsys) -> None:
    first, then = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len([line for line in first.splitlines() if line]) <= 3
    torch.manual_seed(0)
    exec(first + then, {})
    period, change = capsys.readouterr().out.splitlines()
    assert period in then
    assert float(re.findall(r"tensor\(([\d.e+-]+)", change)[0]) < 1e-4


def test_files_that_the_page_names_exist() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`((?:tests|experiments)/[\w/]+\.py)`", PAGE.read_text())
    assert len(named) >= 2
    assert not [name for name in named if not (root / name).exists()]
