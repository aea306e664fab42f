"""Parameter groups for optimisers: weight decay and layer-wise learning rates."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

__all__ = ["layer_patterns", "undecayed"]

_DECAYING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


def undecayed(model: nn.Module) -> set[str]:
    """Parameters of several dimensions without weight decay.

    Matrices and kernels have weight decay; tokens, positions, tables of biases,
    temperatures and gains do not.
    """
    decays = {id(module.weight) for module in model.modules() if isinstance(module, _DECAYING)}
    return {n for n, p in model.named_parameters() if p.ndim > 1 and id(p) not in decays}


def layer_patterns(coarse: bool, prefix: str = "") -> dict[str, Any]:
    """Patterns over a `Backbone`'s parameters, in timm's format: by block, or by stage.

    Args:
        coarse: by stage.
        prefix: what the names begin with, where the backbone is inside another module.
    """
    root = "^" + re.escape(prefix)
    blocks = (
        [(rf"{root}stages\.(\d+)", None)]
        if coarse
        else [
            (rf"{root}stages\.(\d+)\.(?:downsample|inject)", (0,)),
            (rf"{root}stages\.(\d+)\.blocks\.(\d+)", None),
            (rf"{root}stages\.(\d+)\.norm", (99999,)),  # timm's mark for: with the one before
        ]
    )
    return {
        "stem": rf"{root}(?:cls_token|tokenizer|token_norm|position)",
        "blocks": [*blocks, (rf"{root}(?:fc_)?norm", (99999,))],
    }
