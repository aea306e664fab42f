"""timm's models for comparison, beside any torchvision.

The one place outside the tests that declares torchvision's operators, for benchmarks run without
pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import nn

__all__ = ["make_importable", "timm_model"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []


def make_importable() -> None:
    """Imports timm; declares torchvision's operators if it needs that."""
    try:
        import_module("timm")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        # PyPI's torchvision is built for CUDA torch and asks for operators that CPU torch lacks;
        # declaring their schemas is enough for it, and so timm, to import.
        _declared.append(torch.library.Library("torchvision", "FRAGMENT"))
        for schema in _SCHEMAS:
            _declared[0].define(schema)
        import_module("timm")


def timm_model(name: str, **arguments: Any) -> nn.Module:
    """`timm.create_model` in eval mode, random weights."""
    make_importable()
    import timm

    return timm.create_model(name, **arguments).eval()
