"""Sample sizes of an audit. With the defaults an audit of ViT-Ti takes under two minutes."""

from __future__ import annotations

from dataclasses import dataclass, fields

from wavevit.checks import check_at_least

__all__ = ["QUICK_SAMPLES", "Samples"]

# What a section needs at least: distances between images take two, a rank four.
_LEAST = {"pictures": 4, "sensitivity_pictures": 2, "attention_pictures": 2}


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Numbers of pictures, pairs and steps; each section uses the first pictures of the list.

    Raises:
        ValueError: a number below the smallest one that its section can use.
    """

    pictures: int = 18
    """Pictures to read; consistency, scale and rank use all of them."""
    sensitivity_pictures: int = 12
    """Pictures for the sensitivity to the smallest shifts (two directions for each shift) and to
    zooms."""
    curve_pictures: int = 6
    """Pictures for the sensitivity to larger shifts, at most `sensitivity_pictures`."""
    pairs_per_picture: int = 4
    """Pairs of shifts of each picture, for each consistency; a square number k² takes 2k
    forward passes."""
    worst_pictures: int = 8
    """Pictures for the worst shift; all shifts of a square are tried."""
    worst_radius: int = 2
    """Half the side of that square, in pixels."""
    attention_pictures: int = 4
    """Pictures for the attention distance."""
    jacobian_pictures: int = 4
    """Pictures for the Jacobian."""
    jacobian_iterations: int = 10
    """Steps of the iteration (Lanczos) for the Jacobian."""
    singular_values: int = 10
    """Number of leading singular values of the Jacobian, at the first picture."""
    jump_pictures: int = 2
    """Pictures whose path of one pixel is scanned for jumps, in float64."""
    jump_steps: int = 16
    """Steps of that path before the steepest steps are halved."""
    timing_rounds: int = 5
    """Rounds of interleaved timing, if there are other models to compare with."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_at_least(field.name, getattr(self, field.name), _LEAST.get(field.name, 1))


QUICK_SAMPLES = Samples(pictures=10, sensitivity_pictures=6, curve_pictures=2)
