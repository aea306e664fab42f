"""Rules for positions."""

from __future__ import annotations

from wavevit.layers.positions import ConvPosition, LearnedPosition, NoPosition, SinCosPosition
from wavevit.layers.symmetry import Part
from wavevit.measure.certify.rules import lipschitz_of, lipschitz_rule

__all__: list[str] = []


@lipschitz_rule(LearnedPosition, SinCosPosition)
def _added(module: Part, tokens: int | None) -> float:
    """Adding what does not depend on the tokens changes no difference."""
    return 1.0


@lipschitz_rule(NoPosition)
def _nothing(module: NoPosition, tokens: int | None) -> float:
    """Tokens stay as they are: positions inside mixers are part of the mixers' rules."""
    return 1.0


@lipschitz_rule(ConvPosition)
def _convolution(module: ConvPosition, tokens: int | None) -> float:
    """The tokens, and the convolution of them."""
    return 1 + lipschitz_of(module.conv)
