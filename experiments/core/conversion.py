"""Plain data to dataclasses and back, by cattrs."""

from __future__ import annotations

from typing import Any

import cattrs

from wavevit.models import BackboneConfig


def _backbone(data: Any, _: type) -> BackboneConfig:
    """The library reads its own configurations, those of earlier versions included."""
    return data if isinstance(data, BackboneConfig) else BackboneConfig.from_dict(data)


converter = cattrs.Converter(forbid_extra_keys=True)
converter.register_structure_hook(BackboneConfig, _backbone)
