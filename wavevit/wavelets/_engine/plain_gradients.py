"""Gradients in torch's operations, for kernels whose own gradient cannot be derived again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["plain_gradients"]


def plain_gradients(
    plain: Callable[..., Tensor],
    tensors: Sequence[Tensor | None],
    needed: Sequence[bool],
    gradient: Tensor,
) -> list[Tensor | None]:
    """Gradients of ``plain(*tensors)``, which can be derived again; None where none is needed."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        pairs = zip(tensors, needed, strict=True)
        wanted = [part for part, need in pairs if need and part is not None]
        result = plain(*tensors)
        found = iter(torch.autograd.grad(result, wanted, gradient, create_graph=again))
    return [next(found) if need else None for need in needed]
