"""A configuration and settings with which the measurement `graft` runs in moments."""

from __future__ import annotations

import dataclasses

import pytest

from experiments.core.config import DataConfig, OptimizerConfig, RunConfig
from experiments.measurements.graft.methods import Setting
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from wavevit.models import BackboneConfig, make_stages

ONLY = Setting(1e-3, 4.0)


def tiny() -> RunConfig:
    """A configuration that trains in a moment."""
    stages = make_stages(depths=[1], embed_dims=[8], num_heads=1)
    model = BackboneConfig(img_size=16, in_chans=1, num_classes=18, patch_size=4, stages=stages)
    data = DataConfig(crop_size=16, margin=8, test_crops=36, measured_crops=18)
    return RunConfig(model=model, data=data, optimizer=OptimizerConfig(steps=1))


def make_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's ViT is a tiny one, and little of it is measured."""
    study = dataclasses.replace(
        PATCH_VS_WAVELET, variants=lambda: {"vit": tiny()}, contrasts=(), pictured=()
    )
    package = "experiments.measurements.graft"
    monkeypatch.setattr(f"{package}.originals.PATCH_VS_WAVELET", study)
    monkeypatch.setattr(f"{package}.measurement.SETTINGS", (ONLY,))
    few = {"measurement._ROUNDS": 1, "run._STEEP": 2, "run._JUDGED": 16, "run._BATCHES": 1}
    for name, value in few.items():
        monkeypatch.setattr(f"{package}.{name}", value)
