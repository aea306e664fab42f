"""What a part of a network declares about shifts.

One declaration drives the alignment, the tests, the tables of the docs and the ablations, so a
part says it once, where the part is defined.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from wavevit.layers.channels import Source
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.lipschitz import LipschitzConstant, NoLipschitzBound

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


class Part(FxLeaf):
    """A module that declares the shifts it keeps, and its Lipschitz constant where it has one.

    Attributes:
        symmetry: see there.
        any_size: of a tokenizer: it takes images whose sides its stride does not divide.
        unbounded: why there is no Lipschitz constant, to be read after the part's name.
    """

    symmetry: Symmetry
    any_size = False
    unbounded = "declares no Lipschitz constant"

    @property
    def stride(self) -> int:
        """Of a tokenizer: pixels per token."""
        return self.symmetry.period or 1

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """What no difference of outputs divided by that of inputs exceeds (Euclidean norms).

        Args:
            tokens: length of the sequence, for what depends on it; None for any length.

        Raises:
            NoLipschitzBound: the part has no such constant.
        """
        raise NoLipschitzBound(self, self.unbounded)

    def constant_at(self, size: tuple[int, int]) -> LipschitzConstant:
        """Of a tokenizer: the same for images of one size, and whether it is exact.

        Args:
            size: rows and columns in pixels, which the stride divides.

        Raises:
            NoLipschitzBound: the part has no such constant.
        """
        return LipschitzConstant(self.lipschitz_bound(), exact=False)

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Tensors of a checkpoint for other images, fitted to this part.

        Called by `wavevit.adapt_state_dict`, for images of another size or number of channels.

        Args:
            state: the checkpoint's tensors of this part, by their names in it.
            source: what is known of the checkpoint's images.

        Returns:
            Those that have to change, by the same names.
        """
        return {}

    def in_float64(self) -> Self:
        """A copy whose figures can be computed to float64's rounding, on the CPU."""
        return copy.deepcopy(self).double().cpu().requires_grad_(False)

    def linear_part(self, x: Tensor) -> Tensor:
        """Of a tokenizer: what it does to images before the first step that is not linear.

        Args:
            x: images (B, C, H, W), sides divisible by the stride.

        Returns:
            (B, D', H/P, W/P); of finer maps, all numbers that belong to a token are its channels.
        """
        raise NotImplementedError(f"{type(self).__name__} is no tokenizer")
