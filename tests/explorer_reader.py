"""Reads the Shift Explorer's scripts back, as its page does."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.core.config import RunConfig
from experiments.reporting.site import GENERATED, build, explorer_products
from wavevit.models import Backbone

__all__ = ["BUILT", "built_asset", "model_of", "read_script", "window_of"]

BUILT = GENERATED / "static" / "explorer"


@cache
def built_asset(name: str) -> dict[str, Any]:
    """What `make docs` makes of a stored model, as the page reads it; made unless it is there."""
    build(chosen=[one for one in explorer_products() if one.name == f"model {name}"])
    (asset,) = read_script(BUILT / "models" / f"{name}.js")
    return asset


def read_script(path: Path) -> list[dict[str, Any]]:
    """The assets of a file that `write_script` wrote, or of several such files in one."""
    text = path.read_text()
    parts = text.split("shiftExplorer.")[1:]
    return [json.loads(part[part.index("(") + 1 : part.rindex(")")]) for part in parts]


def model_of(asset: dict[str, Any]) -> Backbone:
    """The model of an asset, with its alignment: what the page computes, in PyTorch."""
    model = Backbone(RunConfig.from_dict(asset["config"]).model).eval()
    data = np.frombuffer(base64.b64decode(asset["weights"]), "<f2").astype(np.float32)
    sizes = [int(np.prod(shape)) for _, shape in asset["graph"]["weights"]]
    parts = torch.from_numpy(data).split(sizes)
    named = zip(asset["graph"]["weights"], parts, strict=True)
    model.load_state_dict({name: part.reshape(shape) for (name, shape), part in named})
    return model


def window_of(asset: dict[str, Any]) -> Tensor:
    """The luminance of a photograph's asset, (1, 1, side, side) float32 in [0, 1]."""
    data = np.frombuffer(base64.b64decode(asset["grey"]), np.uint8)
    side = asset["side"]
    return torch.from_numpy(data.astype(np.float32) / 255).reshape(1, 1, side, side)
