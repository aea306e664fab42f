"""Rules for blocks: MLPs, gains, bounded linear layers, injected details."""

from __future__ import annotations

import math

from wavevit.layers.blocks import Block, ConvMlp, DropPath, Mlp
from wavevit.layers.bounded_linear import BoundedLinear
from wavevit.layers.branch_gain import BranchGain
from wavevit.layers.inject import DetailInjection
from wavevit.layers.padding import DepthwiseConv
from wavevit.measure.certify.operator_norms import convolution_norm, spectral_norm
from wavevit.measure.certify.rules import lipschitz_of, lipschitz_rule
from wavevit.measure.certify.torch_layers import GELU_CONSTANT

__all__: list[str] = []


@lipschitz_rule(BoundedLinear)
def _bounded_linear(module: BoundedLinear, tokens: int | None) -> float:
    """The norm that it has, at most 1."""
    return spectral_norm(module.bounded_weight())


@lipschitz_rule(BranchGain)
def _branch_gain(module: BranchGain, tokens: int | None) -> float:
    """The largest factor."""
    return float(module.weight.detach().abs().max())


@lipschitz_rule(DepthwiseConv)
def _depthwise(module: DepthwiseConv, tokens: int | None) -> float:
    return convolution_norm(module)


@lipschitz_rule(DropPath)
def _drop_path(module: DropPath, tokens: int | None) -> float:
    """In evaluation it drops nothing."""
    return 1.0


@lipschitz_rule(Mlp)
def _mlp(module: Mlp, tokens: int | None) -> float:
    """The product of the three."""
    return math.prod(lipschitz_of(part) for part in (module.fc1, module.act, module.fc2))


@lipschitz_rule(ConvMlp)
def _conv_mlp(module: ConvMlp, tokens: int | None) -> float:
    """The product of the four."""
    parts = (module.fc1, module.conv, module.act, module.fc2)
    return math.prod(lipschitz_of(part) for part in parts)


@lipschitz_rule(Block)
def _block(module: Block, tokens: int | None) -> float:
    """``(1 + branch) (1 + branch)``, each branch the product of its parts."""
    branches = (
        (module.norm1, module.mixer, module.gain1),
        (module.norm2, module.mlp, module.gain2),
    )
    return math.prod(1 + math.prod(lipschitz_of(p, tokens) for p in b) for b in branches)


@lipschitz_rule(DetailInjection)
def _injection(module: DetailInjection, tokens: int | None) -> float:
    """Of what is added, over the details; the tokens themselves pass with 1."""
    gain = float(module.norm.weight.detach().abs().max())
    return lipschitz_of(module.proj) * GELU_CONSTANT * gain
