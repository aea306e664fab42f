"""An audit of few pictures and few steps, in which every section still has something to do."""

from __future__ import annotations

from wavevit.auditing import Samples

__all__ = ["FEW"]

FEW = Samples(
    pictures=4,
    sensitivity_pictures=2,
    pairs_per_picture=1,
    worst_pictures=2,
    worst_radius=1,
    attention_pictures=2,
    jacobian_pictures=1,
    jacobian_iterations=2,
    singular_values=3,
    jump_pictures=1,
    jump_steps=4,
    timing_rounds=1,
)
