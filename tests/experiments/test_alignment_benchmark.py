"""The audit of alignments runs and tells an exact method from one that is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wavevit
from experiments.benchmarks import alignment
from experiments.benchmarks.alignment import COLUMNS, OURS, measure, page_with, render


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
    page = f"before {alignment.BEGIN}old{alignment.END} after"
    assert render(record) in page_with(record, page)


def test_our_model_of_the_audit_keeps_its_patch() -> None:
    assert alignment.build(OURS, False).symmetry.lockable_period == 16
