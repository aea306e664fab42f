"""The audit compares a model with a graft from a file with the model itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wavevit
from tests.grafted_models import trained
from wavevit.auditing import Samples
from wavevit.grafting import graft, save_graft

FEW = Samples(pictures=4, sensitivity_pictures=2, pairs_per_picture=1, timing_rounds=1)


def test_graft_is_compared_with_its_model(tmp_path: Path) -> None:
    torch.manual_seed(0)  # as the audit's seed does
    model = wavevit.create_model("test_vit")
    path = tmp_path / "graft.safetensors"
    save_graft(trained(graft(model), 1.0), path, "wavevit/test_vit", "Apache-2.0", original=model)
    report = wavevit.audit("test_vit", graft=path, samples=FEW, quick=True)
    names = [entry["name"] for entry in report.record["models"]]
    assert names == ["test_vit with graft", "test_vit"]
    measured = [report.status(name, "sensitivity") for name in names]
    assert measured == ["measured", "measured"]
    figures = [entry["sections"]["sensitivity"] for entry in report.record["models"]]
    assert figures[0] != figures[1]
    with pytest.raises(ValueError, match="model: expected the weights of wavevit/test_vit"):
        wavevit.audit("test_vit", graft=path, samples=FEW, quick=True, seed=1)
