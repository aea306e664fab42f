"""Start of a tokenizer's projection."""

from __future__ import annotations

from torch import nn

__all__ = ["start_projection"]


def start_projection(proj: nn.Conv2d | nn.Linear) -> None:
    """Draws weights whose outputs have the size of their inputs: variance one over the fan-in."""
    nn.init.trunc_normal_(proj.weight, std=proj.weight[0].numel() ** -0.5)
    if proj.bias is not None:
        nn.init.zeros_(proj.bias)
