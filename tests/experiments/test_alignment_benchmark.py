"""The audit of alignments runs and tells an exact method from one that is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wavevit
from experiments.benchmarks import alignment
from experiments.benchmarks.alignment import (
    COLUMNS,
    OURS,
    lock_cost,
    measure,
    render,
    render_cost,
    retimed,
)


def test_audit_separates_exact_methods_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(name: str, pretrained: bool) -> nn.Module:
        torch.manual_seed(0)
        return wavevit.create_model("test_vit", position="none", pool="avg", img_size=112).eval()

    monkeypatch.setattr(alignment, "build", small)
    record = measure([OURS], quick=True, size=128)
    entry = record["audit"][OURS]
    assert entry["period"] == "16 (declared)"
    rows = entry["methods"]
    assert all(set(row) == set(COLUMNS) for row in rows.values())
    for method in ("phase_lock", "phase_tree", "weighted_frame"):
        assert rows[method]["exact"] < 1e-4 < rows["none"]["exact"]
        assert rows[method]["agree roll"] == 100
    assert rows["blur"]["exact"] > 1e-4
    assert rows["none"]["time"] == 1
    assert rows["weighted_frame"]["calls"] >= 1
    assert f"**{OURS}**, period: 16 (declared)" in render(record)
    assert render_cost(record) == "Not recorded yet."
    kept = {label: dict(row) for label, row in rows.items()}
    retimed(record, OURS, size=128, rounds=1)
    for label, row in rows.items():
        assert {**row, "time": 0} == {**kept[label], "time": 0}
    record["lock_cost"] = lock_cost(rounds=1, repeats=2)
    table = render_cost(record)
    assert "| batch 8, threads: 1 | " in table
    assert all(name in table for name in alignment.LOCKS)


def test_our_model_of_the_audit_has_the_shift_period_of_its_patch() -> None:
    assert alignment.build(OURS, False).symmetry.lockable_period == 16
