"""Modules that symbolic tracing (`torch.fx`) takes as one node."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.fx import Proxy

__all__ = ["FxLeaf"]


class FxLeaf(nn.Module):
    """A module whose forward pass reads sizes, so that `torch.fx` cannot look inside.

    Symbolic tracing has no sizes. Called with what a tracer passes on, such a module becomes one
    node ``call_module`` of the graph, as torch's own layers do, whatever the tracer was told about
    leaf modules. The graph keeps the module and takes every size that the module takes.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for argument in args:
            if isinstance(argument, Proxy):
                return self._as_node(argument.tracer, *args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _as_node(self, tracer: Any, *args: Any, **kwargs: Any) -> Any:
        def node(*args: Any, **kwargs: Any) -> Proxy:
            path = tracer.path_of_module(self)
            found: Proxy = tracer.create_proxy("call_module", path, args, kwargs)
            return found

        # Through the tracer's own method, because some note there which module they are in.
        return tracer.call_module(self, node, args, kwargs)
