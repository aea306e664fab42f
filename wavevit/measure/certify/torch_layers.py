"""Rules for torch's own layers."""

from __future__ import annotations

import math

from torch import nn

from wavevit.layers.norms import TokenNorm
from wavevit.measure.certify.operator_norms import convolution_norm, spectral_norm
from wavevit.measure.certify.results import NoLipschitzBound
from wavevit.measure.certify.rules import UNDECLARED, lipschitz_of, lipschitz_rule

__all__ = ["GELU_CONSTANT"]

# GELU' = Φ(x) + x φ(x) has the derivative φ(x) (2 − x²): it is largest at √2.
GELU_CONSTANT = (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi)  # 1.12890…


@lipschitz_rule(nn.Sequential)
def _chain(module: nn.Sequential, tokens: int | None) -> float:
    return math.prod(lipschitz_of(part, tokens) for part in module)


@lipschitz_rule(nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten, nn.ReLU, nn.Tanh)
def _lengthens_nothing(module: nn.Module, tokens: int | None) -> float:
    return 1.0


@lipschitz_rule(nn.GELU)
def _gelu(module: nn.GELU, tokens: int | None) -> float:
    if module.approximate != "none":
        raise NoLipschitzBound(module, UNDECLARED)
    return GELU_CONSTANT


@lipschitz_rule(nn.Linear)
def _linear(module: nn.Linear, tokens: int | None) -> float:
    return spectral_norm(module.weight)


@lipschitz_rule(nn.Conv2d)
def _convolution(module: nn.Conv2d, tokens: int | None) -> float:
    return convolution_norm(module)


@lipschitz_rule(nn.LayerNorm, TokenNorm)
def _layer_norm(module: nn.LayerNorm, tokens: int | None) -> float:
    """``max |gain| / √eps``: its slope at a token whose channels are equal."""
    if module.eps <= 0:
        raise NoLipschitzBound(module, "divides by the size of a token, which may be 0")
    gain = 1.0 if module.weight is None else float(module.weight.detach().abs().max())
    return gain / math.sqrt(module.eps)
