"""The explorer's trained weights in one small file: ``experiments/records/explorer``.

Matrices and kernels have 6 bits a weight and a scale a row, everything else half precision. Beside
the weights of each model stand the facts of its run, as JSON in the file's metadata.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from experiments.core.records import RECORDS
from wavevit.checks import fail
from wavevit.files import write_whole

STORE = RECORDS / "explorer" / "models.safetensors"
_BITS = 6
_TOP = 2 ** (_BITS - 1) - 1  # codes are -31 to 31


def _pack(codes: Tensor) -> Tensor:
    """Codes from 0 to 63, four in three bytes."""
    codes = torch.cat([codes, codes.new_zeros(-len(codes) % 4)]).reshape(-1, 4)
    word = (codes << torch.tensor([0, 6, 12, 18])).sum(dim=1)
    return ((word[:, None] >> torch.tensor([0, 8, 16])) & 255).byte().flatten()


def _unpack(packed: Tensor) -> Tensor:
    word = (packed.reshape(-1, 3).long() << torch.tensor([0, 8, 16])).sum(dim=1)
    return ((word[:, None] >> torch.tensor([0, 6, 12, 18])) & 63).flatten()


def _scaled(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and the scale of each row, in half precision."""
    scale = (rows.abs().amax(dim=1) / _TOP).half()
    codes = (rows / scale.float().clamp_min(1e-12)[:, None]).round().clamp(-_TOP, _TOP)
    return codes.long() + _TOP, scale


def _restored(codes: Tensor, scale: Tensor) -> Tensor:
    return ((codes - _TOP) * scale.float()[:, None]).half().float()


def rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they come back from the file: values that half precision has, as float32."""
    return {
        name: _restored(*_scaled(tensor.float().flatten(1))).reshape(tensor.shape)
        if tensor.ndim > 1
        else tensor.half().float()
        for name, tensor in weights.items()
    }


def write_models(
    path: Path, models: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, Any]]]
) -> None:
    """Writes weights and facts, by the names of the models."""
    tensors: dict[str, Tensor] = {}
    metadata = {}
    for model, (weights, facts) in models.items():
        codes, halves = [], []
        for tensor in weights.values():
            if tensor.ndim > 1:
                code, scale = _scaled(tensor.float().flatten(1))
                codes.append(code.flatten())
                halves.append(scale)
            else:
                halves.append(tensor.half().flatten())
        tensors |= {f"{model}.codes": _pack(torch.cat(codes)), f"{model}.half": torch.cat(halves)}
        shapes = {name: list(tensor.shape) for name, tensor in weights.items()}
        metadata[model] = json.dumps({**facts, "shapes": shapes}, separators=(",", ":"))
    write_whole(path, save(tensors, metadata))


def read_models(path: Path = STORE) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
    """Weights (float32) and facts, by the names of the models."""
    if not path.exists():
        fail("path", "a file of models (python -m experiments explorer writes it)", path)
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = {model: json.loads(text) for model, text in file.metadata().items()}
    found = {}
    for model, facts in metadata.items():
        codes, halves = _unpack(tensors[f"{model}.codes"]), tensors[f"{model}.half"]
        weights: dict[str, Tensor] = {}
        for name, shape in facts.pop("shapes").items():
            if len(shape) > 1:
                count = math.prod(shape)
                values = _restored(codes[:count].reshape(shape[0], -1), halves[: shape[0]])
                codes, halves = codes[count:], halves[shape[0] :]
            else:
                values, halves = halves[: math.prod(shape)].float(), halves[math.prod(shape) :]
            weights[name] = values.reshape(shape)
        found[model] = (weights, facts)
    return found
