"""Public testing kit: strategies and assertions for laws of transforms and models."""

from wavevit.testing.assertions import assert_close_relative, assert_shift_invariant
from wavevit.testing.contract import CONTRACT, SHAPES, assert_backbone_contract
from wavevit.testing.tolerances import TOLERANCES, tolerance

__all__ = [
    "CONTRACT",
    "SHAPES",
    "TOLERANCES",
    "assert_backbone_contract",
    "assert_close_relative",
    "assert_shift_invariant",
    "tolerance",
]
