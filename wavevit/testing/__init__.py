"""Public testing kit: strategies and assertions for laws of transforms and models."""

from wavevit.testing.assertions import assert_close_relative, assert_shift_invariant
from wavevit.testing.tolerances import TOLERANCES, tolerance

__all__ = ["TOLERANCES", "assert_close_relative", "assert_shift_invariant", "tolerance"]
