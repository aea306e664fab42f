"""Rules for activations."""

from __future__ import annotations

from wavevit.layers.activations import Gate, Gelu, OversampledGelu
from wavevit.measure.certify.rules import lipschitz_rule, no_lipschitz_bound
from wavevit.measure.certify.torch_layers import GELU_CONSTANT

__all__: list[str] = []


@lipschitz_rule(Gelu)
def _gelu(module: Gelu, tokens: int | None) -> float:
    """The largest derivative, at √2."""
    return GELU_CONSTANT


@lipschitz_rule(OversampledGelu)
def _oversampled(module: OversampledGelu, tokens: int | None) -> float:
    """That of GELU. To a grid of f times the samples the norm is √f, back it is ``√f / f``.

    The way back is the transpose divided by f; both together lengthen by 1.
    """
    return GELU_CONSTANT


no_lipschitz_bound(Gate, because="multiplies tokens with tokens: its slope grows with their size")
