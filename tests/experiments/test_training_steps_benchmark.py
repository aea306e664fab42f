"""The benchmark of training steps measures what it says, and shows it beside an earlier record."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.benchmarks.training_steps import (
    LARGE,
    SMALL,
    Case,
    Options,
    benchmark,
    held_bytes,
    tables,
)
from wavevit import create_model

TINY = Case(
    {"vit": partial(create_model, "test_vit"), "haar": partial(create_model, "test_haar_vit")},
    {"haar": "vit"},
    (2, 3, 32, 32),
    rounds=1,
)


def test_measures_ratios_and_shows_those_before(tmp_path: Path) -> None:
    record = benchmark(Options(quick=True, threads=(1,)), cases=(TINY,))
    row = record["models"]["haar"]
    assert row["reference"] == "vit"
    assert row["forward"]["1"] > 0
    assert row["step"]["1"] > 0
    assert row["held"] > 0
    earlier = tmp_path / "before.json"
    row["forward"]["1"] = 12.345
    earlier.write_text(json.dumps(record))
    again = benchmark(Options(quick=True, threads=(1,), before=earlier), cases=(TINY,))
    assert "12.35" in tables(again) or "12.34" in tables(again)
    assert "| `haar` | `vit` | 32 |" in tables(again)


def test_a_figure_is_the_median_over_processes() -> None:
    options = Options(threads=(1,), processes=3)
    row = benchmark(options, cases=(TINY,))["models"]["haar"]
    for kind in ("forward", "step"):
        each = row[f"{kind}_each"]["1"]
        assert len(each) == 3
        assert row[kind]["1"] == sorted(each)[1]
    with pytest.raises(ValueError, match="processes: expected an integer of at least 1, got 0"):
        benchmark(Options(processes=0), cases=(TINY,))


def test_refuses_a_record_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before"):
        benchmark(Options(quick=True, before=tmp_path / "none.json"), cases=(TINY,))


def test_held_bytes_equals_a_hand_count() -> None:
    x = torch.randn(10, 3, requires_grad=True)

    def three_squares() -> Tensor:
        return (x * 2).square().square().sum()

    assert held_bytes(three_squares) == 2 * 10 * 3 * 4  # the operands of both squares


def test_held_bytes_leaves_out_a_transposed_weight() -> None:
    x, weight = torch.randn(10, 3), torch.randn(7, 3, requires_grad=True)

    def linear_maps() -> Tensor:
        hidden = x.requires_grad_() * 2
        return (hidden @ weight.t() @ weight).sum()

    assert held_bytes(linear_maps) == 10 * 3 * 4 + 10 * 7 * 4  # both inputs, no weight


def test_every_model_but_the_references_is_compared() -> None:
    for case in (SMALL, LARGE):
        references = set(case.references.values())
        assert set(case.models) == set(case.references) | references
