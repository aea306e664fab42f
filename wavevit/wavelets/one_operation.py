"""A transform as one operation of a compiled graph.

Whatever dynamo looks at while it traces a function, each module, function and constant, it checks
again at every call of the compiled code. For a one-level Haar transform that is a hundred checks,
which together take as long as the kernel needs for a small batch. An operation it does not look
into: it asks for its result once, on fake tensors, and AOTAutograd then traces what is inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Proxy
from torch.overrides import has_torch_function

from wavevit.wavelets.free_sizes import exporting

__all__ = ["as_one_operation", "is_symbolic", "operation"]

_library = torch.library.Library("wavevit", "FRAGMENT")


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

    An exported graph must not need this package, and `torch.func` does not look into operations.
    """
    if not torch.compiler.is_compiling() or exporting():
        return False
    return not torch._C._are_functorch_transforms_active()


# Dynamo runs it instead of tracing it, which saves a check at every call for each name in it: all
# that it asks for is checked anyway. As for `filters._load`, the decorator imports the compiler.
setattr(as_one_operation, "_dynamo_marked_constant", True)  # noqa: B010


def is_symbolic(*values: Any) -> bool:
    """Whether `torch.fx.symbolic_trace` is tracing, and the call becomes one node of its graph."""
    return has_torch_function(values) and any(isinstance(value, Proxy) for value in values)
