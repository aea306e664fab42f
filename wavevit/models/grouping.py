"""What optimisers ask of a backbone: which parameters decay, and which layer each belongs to."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["layer_patterns", "undecayed"]


def undecayed(model: nn.Module) -> set[str]:
    """Parameters of several dimensions that weight decay should leave alone.

    What multiplies features (matrices and kernels) decays; tokens, positions, tables of biases,
    temperatures and gains do not.
    """
    decays = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    }
    return {n for n, p in model.named_parameters() if p.ndim > 1 and id(p) not in decays}


def layer_patterns(coarse: bool) -> dict[str, Any]:
    """Patterns over a `Backbone`'s parameters, in timm's format: by block, or by stage."""
    blocks = (
        [(r"^stages\.(\d+)", None)]
        if coarse
        else [
            (r"^stages\.(\d+)\.(?:downsample|inject)", (0,)),
            (r"^stages\.(\d+)\.blocks\.(\d+)", None),
            (r"^stages\.(\d+)\.norm", (99999,)),  # timm's mark for: with the one before
        ]
    )
    return {
        "stem": r"^cls_token|^tokenizer|^token_norm|^position",
        "blocks": [*blocks, (r"^(?:fc_)?norm", (99999,))],
    }
