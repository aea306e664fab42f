"""How much an audit looks at. The defaults aim at under two minutes for a ViT-Ti."""

from __future__ import annotations

from dataclasses import dataclass, fields

from wavevit.checks import check_at_least

__all__ = ["QUICK_SAMPLES", "Samples"]

# What a section needs at least: distances between images take two, a rank four.
_LEAST = {"pictures": 4, "sensitivity_pictures": 2, "attention_pictures": 2}


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Numbers of pictures, pairs and steps; each section takes the first pictures of the list."""

    pictures: int = 18
    """Pictures that are read; consistency, scale and rank use all of them."""
    sensitivity_pictures: int = 12
    """Pictures of the sensitivity to the smallest shifts (two directions a shift) and of zooms."""
    curve_pictures: int = 6
    """Pictures of the sensitivity to larger shifts; at most those of the smallest ones count."""
    pairs_per_picture: int = 4
    """Pairs of shifts of each picture, for each consistency; a square number k² takes 2k
    forward passes."""
    worst_pictures: int = 8
    """Pictures whose whole square of shifts is tried."""
    worst_radius: int = 2
    """Half the side of that square, in pixels."""
    attention_pictures: int = 4
    """Pictures of the attention distance."""
    jacobian_pictures: int = 4
    """Pictures at which the Jacobian is examined."""
    jacobian_iterations: int = 10
    """Steps of its power iteration."""
    singular_values: int = 10
    """Leading singular values of the Jacobian, at the first picture."""
    jump_pictures: int = 2
    """Pictures whose path of one pixel is scanned for jumps, in float64."""
    jump_steps: int = 16
    """Steps of that path before the steepest are halved."""
    timing_rounds: int = 5
    """Rounds of the interleaved timing, where there is another model to compare with."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_at_least(field.name, getattr(self, field.name), _LEAST.get(field.name, 1))


QUICK_SAMPLES = Samples(pictures=10, sensitivity_pictures=6, curve_pictures=2)
