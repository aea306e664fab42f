"""Initial weights of a backbone."""

from __future__ import annotations

from torch import nn

from wavevit.layers import Part

__all__ = ["init_weights"]


def init_weights(module: nn.Module) -> None:
    """Initialises a module (for `nn.Module.apply`): linear layers, then each layer's own method."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Part):
        module.reset_parameters()
