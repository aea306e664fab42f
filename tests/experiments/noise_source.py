"""A data source of random images with labels: nothing is loaded. A process of a test imports it."""

from __future__ import annotations

from typing import Any

import torch

from experiments.core.config import DataConfig, ExecutionConfig, OptimizerConfig, RunConfig
from wavevit.data.sources import Source, register_source
from wavevit.models import BackboneConfig, make_stages

__all__ = ["NoiseSource", "noise_run"]


@register_source("noise")
class NoiseSource(Source):
    """Images whose mean is larger for larger labels, in noise."""

    num_classes = 4

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Any]:
        labels = torch.randint(self.num_classes, (count,), generator=generator)
        noise = torch.randn(count, 1, self.window, self.window, generator=generator)
        return {"images": noise + labels[:, None, None, None], "labels": labels}


def noise_run(steps: int = 12, batch_size: int = 8, **execution: Any) -> RunConfig:
    """A run of a tiny classifier on that source."""
    model = BackboneConfig(
        img_size=16,
        in_chans=1,
        num_classes=NoiseSource.num_classes,
        patch_size=8,
        stages=make_stages(depths=[2], embed_dims=[8], num_heads=1),
    )
    return RunConfig(
        model=model,
        data=DataConfig(source="noise", crop_size=16, margin=8, test_crops=8, measured_crops=4),
        optimizer=OptimizerConfig(steps=steps, batch_size=batch_size, warmup_steps=2),
        checkpoint_every=2,
        execution=ExecutionConfig(**execution),
    )
