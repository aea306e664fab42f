"""Split tokens into the heads of attention, and merge them."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.wavelets._engine.symbolic_shapes import exporting

__all__ = ["merge_heads", "split_heads"]


def merge_heads(x: Tensor) -> Tensor:
    """Merges the outputs of heads (B, heads, N, d) to tokens (B, N, heads · d).

    Torch picks one of several kernels for `scaled_dot_product_attention`, and another one where a
    mask has a gradient. They lay out their result differently, so that the same reshape is a view
    after one and a copy after the other. `torch.onnx.export` runs a graph with and without
    gradients and stops at the difference; there the layout is made the same.
    """
    x = x.transpose(1, 2)
    if exporting():
        x = x.clone(memory_format=torch.contiguous_format)
    return x.flatten(2)


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Splits one linear map's tokens (B, N, parts · D) into `parts` views (B, heads, N, D / heads).

    The parts are taken before the heads are moved, so that the gradients of queries, keys and
    values are written once, in the layout of `x`. After a permutation that puts the parts first,
    the backward pass stacks them and then copies all of them into that layout.
    """
    found = x.unflatten(-1, (parts, heads, -1)).unbind(-3)
    return tuple(found[index].transpose(1, 2) for index in range(parts))
