"""The operators ``torch.ops.wavevit.*``: linear maps, and whole transforms in a compiled graph.

Whatever dynamo looks at while it traces a function, each module, function and constant, it checks
again at every call of the compiled code. For a one-level Haar transform that is a hundred checks,
which together take as long as the kernel needs for a small batch. It does not trace into an
operator: it calls the operator once, on fake tensors, and AOTAutograd then traces what is inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.overrides import has_torch_function

from wavevit.wavelets._engine.linear_maps import LinearMap, merged, split
from wavevit.wavelets._engine.symbolic_shapes import exporting
from wavevit.wavelets._engine.torch_private import mark_constant, transforms_active

__all__ = ["as_one_operation", "is_symbolic", "operation", "register_map"]

_library = torch.library.Library("wavevit", "DEF")


class OperatorMap(LinearMap, Protocol):
    """A linear map that an operator computes: it knows the shapes of its results."""

    def shapes(self, batch: int, channels: int) -> Sequence[Sequence[int]]:
        """Shapes of the results."""


def register_map(
    name: str,
    arguments: str,
    map_of: Callable[..., OperatorMap],
    known_map_of: Callable[..., OperatorMap] | None = None,
    derivatives: bool = True,
) -> None:
    """Registers ``torch.ops.wavevit.<name>``, which applies a linear map to a list of tensors.

    Args:
        name: of the operator.
        arguments: what follows ``Tensor[] tensors`` in its schema: what the map is made of.
        map_of: makes the map from those arguments, of which sizes may be symbols.
        known_map_of: the same for plain numbers, where a cache makes it faster.
        derivatives: also register the backward pass (the transpose) and the rule for `vmap` (the
            map of a larger batch). Without them, an operator for below autograd.
    """
    known = known_map_of or map_of

    def compute(tensors: list[Tensor], *args: Any) -> list[Tensor]:
        return known(*args).run(tensors)

    def fake(tensors: list[Tensor], *args: Any) -> list[Tensor]:
        shapes = map_of(*args).shapes(*tensors[0].shape[:2])
        return [tensors[0].new_empty(shape) for shape in shapes]

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.linear_map, ctx.constants = map_of(*inputs[1:]), len(inputs) - 1

    def backward(ctx: Any, gradients: list[Tensor]) -> tuple[Any, ...]:
        return ctx.linear_map.transpose.call(gradients), *[None] * ctx.constants

    def batched(info: Any, in_dims: Any, tensors: list[Tensor], *args: Any) -> Any:
        results = map_of(*args).call(merged(info, in_dims[0], tensors))
        return split(info, results), [0] * len(results)

    _library.define(f"{name}(Tensor[] tensors, {arguments}) -> Tensor[]")
    _library.impl(name, compute, "CompositeExplicitAutograd")
    qualified = f"wavevit::{name}"
    torch.library.register_fake(qualified, fake, lib=_library)
    if derivatives:
        torch.library.register_vmap(qualified, batched, lib=_library)
        torch.library.register_autograd(qualified, backward, setup_context=remember, lib=_library)


def operation(schema: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.ops.wavevit.<name>`` for `function`, a composition of other operations.

    Args:
        schema: its name and types, as `torch.library` wants them.
        function: what it does. The compiler sees nothing that it reads but its arguments.
    """
    _library.define(schema)
    name = schema.split("(")[0]
    _library.impl(name, function, "CompositeImplicitAutograd")
    return getattr(torch.ops.wavevit, name).default


def as_one_operation() -> bool:
    """Whether a compiler is tracing, outside any transform of `torch.func`.

    An exported graph must not need this package, and `torch.func` does not trace into operators.
    """
    if not torch.compiler.is_compiling() or exporting():
        return False
    return not transforms_active()


# Dynamo runs it instead of tracing it, which saves a check at every call for each name in it: all
# that it asks for is checked anyway.
mark_constant(as_one_operation)


def is_symbolic(*values: Any) -> bool:
    """Whether `torch.fx.symbolic_trace` is tracing, and the call becomes one node of its graph."""
    return has_torch_function(values) and any(isinstance(value, Proxy) for value in values)
