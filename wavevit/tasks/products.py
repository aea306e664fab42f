"""Scalar products of embeddings, in their own precision."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["products"]


def products(first: Tensor, second: Tensor) -> Tensor:
    """Scalar products (N, M) of rows (N, E) and (M, E), in their own precision under autocast too.

    Cosines are divided by a small temperature: rounded to the 8 bits of bfloat16, logits around 100
    would be apart by half a unit.
    """
    kind = first.device.type
    if not torch.amp.is_autocast_available(kind):  # the meta device has none
        return first @ second.T
    with torch.autocast(kind, enabled=False):
        return first @ second.T
