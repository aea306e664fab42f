"""Digests of tensors, by which a file knows the weights that it belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["digest_of_all", "tensor_digest"]


def tensor_digest(tensor: Tensor) -> str:
    """32 hexadecimal digits of a tensor's bytes, in its dtype."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().data).hexdigest()[:32]


def digest_of_all(tensors: Iterable[Tensor]) -> str:
    """16 hexadecimal digits of shapes, dtypes and bytes of tensors."""
    lines = [f"{tuple(t.shape)} {t.dtype} {tensor_digest(t)}" for t in tensors]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
