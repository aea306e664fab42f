"""Tensors that tests draw, take apart and compare."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["error", "flat", "noise"]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers: drawn in float64, so that they are the same in every dtype."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def flat(parts: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """All tensors of a tensor or of lists in lists, in their order."""
    if isinstance(parts, Tensor):
        return [parts]
    return [tensor for part in parts for tensor in flat(part)]


def error(found: Tensor, expected: Tensor) -> float:
    """The largest difference of two tensors of one shape, relative to the largest number."""
    assert found.shape == expected.shape
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())
