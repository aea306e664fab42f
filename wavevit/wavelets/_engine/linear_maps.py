"""Linear maps that are differentiable in every mode, because each gives its transpose.

The backward pass of a map is its transpose, the tangent is the map itself, and a batch of maps is
the map of a larger batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from wavevit.wavelets._engine.torch_private import dispatch_modes, is_derived

__all__ = [
    "LinearMap",
    "MapFunction",
    "applied",
    "merged",
    "outside_autocast",
    "split",
]


class LinearMap(Protocol):
    """A map of lists of tensors (B, …)."""

    @property
    def transpose(self) -> LinearMap:
        """The adjoint map."""

    def apply(self, *tensors: Tensor) -> list[Tensor]:
        """The map with its derivatives."""

    def call(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The map as the bare operator."""

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        """The map as numbers, behind autograd and the dispatcher."""


def applied(linear_map: LinearMap, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The map outside any compiler, with derivatives where they may be needed."""
    if is_derived(*tensors):
        return list(MapFunction.apply(linear_map, *tensors))
    return _eagerly(linear_map, tensors)


def _eagerly(linear_map: LinearMap, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The map of tensors below autograd.

    Without an active dispatch mode the dispatcher is skipped: on a small image it takes longer than
    the kernel.
    """
    if dispatch_modes():
        return linear_map.call(tensors)
    # What the dispatcher would do: the memory of a lazily negated tensor holds its opposite.
    return linear_map.run([x.resolve_neg() for x in tensors])


def outside_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Where products of tensors like `x` are not rounded to half precision."""
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):  # shapes only: it has none
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def merged(info: Any, in_dims: Sequence[int | None], tensors: Sequence[Tensor]) -> list[Tensor]:
    """The mapped dimension of every tensor, merged into its batch."""
    front = [
        x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
        for x, dim in zip(tensors, in_dims, strict=True)
    ]
    return [x.flatten(0, 1) for x in front]


def split(info: Any, results: Sequence[Tensor]) -> list[Tensor]:
    """Inverse of `merged`; the mapped dimension comes first."""
    return [x.unflatten(0, (info.batch_size, -1)) for x in results]


class MapFunction(torch.autograd.Function):
    """Applies a map eagerly; ``torch.compile`` does not trace a Function that has a ``jvp``."""

    @staticmethod
    def forward(linear_map: LinearMap, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(_eagerly(linear_map, tensors))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.linear_map = inputs[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, *ctx.linear_map.transpose.apply(*gradients)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor) -> Any:
        return tuple(ctx.linear_map.apply(*tangents))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], linear_map: LinearMap, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        results = MapFunction.apply(linear_map, *merged(info, in_dims[1:], tensors))
        return tuple(split(info, results)), (0,) * len(results)


# torch asks for it at every call, and working it out takes longer than a small image.
MapFunction.forward.__signature__ = inspect.signature(MapFunction.forward)  # type: ignore[attr-defined]
