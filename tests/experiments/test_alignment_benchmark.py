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
    page_with,
    render,
    retimed,
)


def test_the_audit_measures_and_tells_exact_from_not(monkeypatch: pytest.MonkeyPatch) -> None:
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
    page = f"before {alignment.BEGIN}old{alignment.END} after "
    page += f"{alignment.COST_BEGIN}old{alignment.COST_END}"
    assert render(record) in page_with(record, page)
    assert "Not recorded yet." in page_with(record, page)
    kept = {label: dict(row) for label, row in rows.items()}
    retimed(record, OURS, size=128)
    for label, row in rows.items():
        assert {**row, "time": 0} == {**kept[label], "time": 0}
    record["lock_cost"] = lock_cost(rounds=1, repeats=2)
    table = page_with(record, page).partition(alignment.COST_BEGIN)[2]
    assert "| batch 8, threads: 1 | " in table
    assert all(name in table for name in alignment.LOCKS)


def test_our_model_of_the_audit_keeps_its_patch() -> None:
    assert alignment.build(OURS, False).symmetry.lockable_period == 16
