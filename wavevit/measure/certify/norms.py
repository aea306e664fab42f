"""Rules for normalisation layers."""

from __future__ import annotations

import math

from wavevit.layers.norms import CenterNorm, MapNorm
from wavevit.measure.certify.rules import lipschitz_rule

__all__: list[str] = []


@lipschitz_rule(MapNorm)
def _map_norm(module: MapNorm, tokens: int | None) -> float:
    """``max |gain| / √eps``: its slope at a flat map."""
    return float(module.weight.detach().abs().max()) / math.sqrt(module.eps)


@lipschitz_rule(CenterNorm)
def _center_norm(module: CenterNorm, tokens: int | None) -> float:
    """The largest gain, behind a projection."""
    return float(module.weight.detach().abs().max())
