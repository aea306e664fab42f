"""timm's models for comparison."""

from __future__ import annotations

from typing import Any

from torch import nn

from wavevit.interop.timm_import import import_timm


def timm_model(name: str, **arguments: Any) -> nn.Module:
    """`timm.create_model` in eval mode, random weights."""
    model: nn.Module = import_timm().create_model(name, **arguments)
    return model.eval()
