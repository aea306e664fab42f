"""Pyramid on dual-tree magnitudes: two fields differ from `haar_pyramid_*`.

Magnitudes contain the strength of edges in each orientation, but not their sign or position. Later
stages get these back as injected details at their own stride. A low-pass before each
coarser grid keeps the robustness to small shifts.
"""

from __future__ import annotations

import dataclasses

from wavevit.models.config import BackboneConfig
from wavevit.models.registry import register_model
from wavevit.models.zoo import haar_pyramid

__all__: list[str] = []


def _dtcwt_pyramid(base: BackboneConfig) -> BackboneConfig:
    first, *later = base.stages
    stages = [first, *(dataclasses.replace(stage, downsample="blur_pool") for stage in later)]
    return dataclasses.replace(base, tokenizer="dtcwt", stages=tuple(stages))


@register_model
def dtcwt_pyramid_tiny() -> BackboneConfig:
    return _dtcwt_pyramid(haar_pyramid.haar_pyramid_tiny())


@register_model
def test_dtcwt_pyramid() -> BackboneConfig:
    return _dtcwt_pyramid(haar_pyramid.test_haar_pyramid())
