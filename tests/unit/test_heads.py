"""Heads of attention: split from one linear map, with one write of the gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wavevit.layers.heads import merge_heads, split_heads


class _Recorded(TorchDispatchMode):
    """Names of the operators that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def _permuted(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    return tuple(x.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4))


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_are_the_channels_of_each_head_without_a_copy(parts: int) -> None:
    x = torch.randn(2, 5, parts * 12, generator=torch.Generator().manual_seed(parts))
    found = split_heads(x, parts, 3)
    assert len(found) == parts
    for index, part in enumerate(found):
        assert part.shape == (2, 3, 5, 4)
        assert part.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        assert torch.equal(merge_heads(part), x[..., 12 * index : 12 * (index + 1)])


@pytest.mark.parametrize("parts", [2, 3])
def test_gradient_of_the_parts_is_that_of_a_permutation_to_the_bit(parts: int) -> None:
    x = torch.randn(2, 5, parts * 12, generator=torch.Generator().manual_seed(parts))
    weights = torch.arange(1, parts + 1)
    gradients = []
    for split in (split_heads, _permuted):
        own = x.clone().requires_grad_()
        torch.stack([part.sin().sum() for part in split(own, parts, 3)]).dot(
            weights.float()
        ).backward()
        assert own.grad is not None
        gradients.append(own.grad)
    first, second = gradients
    assert torch.equal(first, second)


def test_gradient_of_queries_keys_and_values_is_written_once() -> None:
    """A permutation copies it once more into the layout of the linear map's result."""
    copies = {}
    for split in (split_heads, _permuted):
        x = torch.randn(2, 5, 36, requires_grad=True)
        parts = split(x, 3, 3)
        with _Recorded() as recorded:
            torch.autograd.grad(parts, x, [torch.ones_like(part) for part in parts])
        copies[split] = sum(name in ("clone", "copy_", "_reshape_copy") for name in recorded.names)
    assert copies == {split_heads: 0, _permuted: 1}
