"""The explorer's trained weights in one small file: ``experiments/records/explorer``.

Matrices and kernels have 6 bits a weight and a scale a row, everything else half precision. Beside
the weights of each model stand the facts of its run, as JSON in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from experiments.core.folder import write_bytes
from experiments.core.records import RECORDS
from wavevit.checks import fail

__all__ = ["STORE", "pack", "read_models", "rounded", "unpack", "write_models"]

STORE = RECORDS / "explorer" / "models.safetensors"
_BITS = 6
_TOP = 2 ** (_BITS - 1) - 1  # codes are -31 to 31


def pack(tensor: Tensor) -> dict[str, Tensor]:
    """A tensor as it is stored.

    Returns:
        ``"half"`` for a vector or a scalar; ``"codes"``, four weights in three bytes, and
        ``"scale"``, one a row, for a matrix or kernels.
    """
    if tensor.ndim < 2:
        return {"half": tensor.half()}
    rows = tensor.detach().float().flatten(1)
    scale = (rows.abs().amax(dim=1) / _TOP).half()
    steps = (rows / scale.float().clamp_min(1e-12)[:, None]).round().clamp(-_TOP, _TOP) + _TOP
    codes = steps.flatten().long()
    codes = torch.cat([codes, codes.new_zeros(-len(codes) % 4)]).reshape(-1, 4)
    word = (codes << torch.tensor([0, 6, 12, 18])).sum(dim=1)
    packed = (word[:, None] >> torch.tensor([0, 8, 16])) & 255
    return {"codes": packed.byte().flatten(), "scale": scale}


def unpack(stored: Mapping[str, Tensor], shape: torch.Size) -> Tensor:
    """The tensor that `pack` stored, rounded to its codes and then to half precision; float32."""
    if "half" in stored:
        return stored["half"].float().reshape(shape)
    packed = stored["codes"].reshape(-1, 3).long()
    word = (packed << torch.tensor([0, 8, 16])).sum(dim=1)
    codes = ((word[:, None] >> torch.tensor([0, 6, 12, 18])) & 63).flatten()[: shape.numel()]
    rows = (codes - _TOP).reshape(shape[0], -1) * stored["scale"].float()[:, None]
    return rows.half().float().reshape(shape)


def rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they come back from the file."""
    return {name: unpack(pack(tensor), tensor.shape) for name, tensor in weights.items()}


def write_models(
    path: Path, models: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, Any]]]
) -> None:
    """Writes weights and facts, by the names of the models."""
    tensors: dict[str, Tensor] = {}
    metadata = {}
    for model, (weights, facts) in models.items():
        shapes = {name: list(tensor.shape) for name, tensor in weights.items()}
        metadata[model] = json.dumps({**facts, "shapes": shapes})
        for name, tensor in weights.items():
            for part, data in pack(tensor).items():
                tensors[f"{model}/{name}/{part}"] = data.contiguous()
    write_bytes(path, save(tensors, metadata))


def read_models(path: Path = STORE) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
    """Weights (rounded, float32) and facts, by the names of the models."""
    if not path.exists():
        fail("path", "a file of models (python -m experiments.explorer writes it)", path)
    found = {}
    with safe_open(path, "pt") as file:
        parts: dict[str, dict[str, Tensor]] = {}
        for key in file.keys():  # noqa: SIM118 (no mapping)
            tensor, _, part = key.rpartition("/")
            parts.setdefault(tensor, {})[part] = file.get_tensor(key)
        for model, text in file.metadata().items():
            facts = json.loads(text)
            weights = {
                name: unpack(parts[f"{model}/{name}"], torch.Size(shape))
                for name, shape in facts.pop("shapes").items()
            }
            found[model] = (weights, facts)
    return found
