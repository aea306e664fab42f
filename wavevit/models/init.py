"""What the weights of a backbone start from."""

from __future__ import annotations

from torch import nn

from wavevit.layers.blocks import ConvMlp, Mlp, init_gated
from wavevit.layers.tokenizers import AliasFreeTokenizer, PatchTokenizer, SubbandTokenizer

__all__ = ["init_weights"]


def init_weights(module: nn.Module) -> None:
    """For `nn.Module.apply`: what each kind of part starts from."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Mlp | ConvMlp):
        init_gated(module)
    elif isinstance(module, AliasFreeTokenizer | PatchTokenizer | SubbandTokenizer):
        weight = module.proj.weight
        nn.init.trunc_normal_(weight, std=weight[0].numel() ** -0.5)
        if module.proj.bias is not None:
            nn.init.zeros_(module.proj.bias)
