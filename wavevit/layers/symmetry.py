"""What a part of a network declares about shifts.

One declaration drives the alignment, the tests, the tables of the docs and the ablations, so a
part says it once, where the part is defined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from wavevit.layers.lipschitz import NoLipschitzBound

__all__ = ["Part", "Symmetry"]


@dataclass(frozen=True)
class Symmetry:
    """The shifts of its input grid that a part turns into shifts of its output grid.

    Attributes:
        period: the smallest such shift, in steps of the part's input grid; None if there is
            none but 0 (absolute positions).
        circular: True if this is exact on a circle, False if borders break it (zero padding).
        alias_free: True if fractions of a step are kept too, on maps without a harmonic at or
            above the grid's Nyquist frequency. Such a part keeps whole pixels at any stride.
    """

    period: int | None
    circular: bool = True
    alias_free: bool = False

    @property
    def lockable_period(self) -> int | None:
        """The period an exact alignment may rely on, None where there is none."""
        return self.period if self.circular else None

    def at_stride(self, stride: int) -> Symmetry:
        """The same symmetry in pixels, for a part whose input grid has this stride."""
        if self.period is None or self.alias_free:
            return self
        return Symmetry(self.period * stride, self.circular)

    @staticmethod
    def combine(parts: Iterable[Symmetry]) -> Symmetry:
        """What a chain of parts keeps, all periods given in pixels: the common multiple."""
        parts = list(parts)
        circular = all(part.circular for part in parts)
        periods = [part.period for part in parts]
        if any(period is None for period in periods):
            return Symmetry(None, circular)
        return Symmetry(math.lcm(*[period for period in periods if period is not None]), circular)


class Part(nn.Module):
    """A module that declares the shifts it keeps, and its Lipschitz constant where it has one.

    Attributes:
        symmetry: see there.
        any_size: of a tokenizer: it takes images whose sides its stride does not divide.
        unbounded: why there is no Lipschitz constant, to be read after the part's name.
    """

    symmetry: Symmetry
    any_size = False
    unbounded = "declares no Lipschitz constant"

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """What no difference of outputs divided by that of inputs exceeds (Euclidean norms).

        Args:
            tokens: length of the sequence, for what depends on it; None for any length.

        Raises:
            NoLipschitzBound: the part has no such constant.
        """
        raise NoLipschitzBound(self, self.unbounded)
