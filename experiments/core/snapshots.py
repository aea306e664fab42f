"""Weights that a run keeps on the way, for pictures of what its model answers over training."""

from __future__ import annotations

from dataclasses import dataclass

from wavevit.checks import fail

__all__ = ["Snapshots"]


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Which runs of a study keep their weights on the way, and when.

    Only the first seed of the study keeps them. They change no training and no measure, so they
    are no part of a run's configuration.

    Attributes:
        variants: that keep them; none by default.
        shares: of the training, rising from 0 (before the first step) to 1 (the trained weights,
            which every run keeps).
    """

    variants: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.0, 1 / 8, 1 / 4, 1 / 2, 1.0)

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.shares, self.shares[1:], strict=False))
        inside = all(0 <= share <= 1 for share in self.shares)
        if not (self.shares and rising and inside):
            fail("shares", "at least one number from 0 to 1, rising", self.shares)

    def steps(self, total: int) -> tuple[int, ...]:
        """The steps after which weights are kept, of a training of `total` steps; a step that
        several shares round to comes once."""
        return tuple(sorted({round(share * total) for share in self.shares}))
