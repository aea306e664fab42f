"""`Symmetry` of a layer (the circular shifts that it keeps), and `Part`, the base of layers.

The alignment, the tests, the tables of the docs and the ablations use this declaration, so a
layer declares it once, in its own file.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from wavevit.checks import check_at_least, check_bool
from wavevit.layers.channels import Source
from wavevit.layers.context import PartContext
from wavevit.layers.fx_leaf import FxLeaf
from wavevit.layers.old_bounds import OldBounds
from wavevit.layers.options import NoOptions, PartOptions

__all__ = ["Part", "Symmetry"]


@dataclass(frozen=True)
class Symmetry:
    """Circular shifts of the input grid that become shifts of the output grid of a layer.

    Attributes:
        period: the smallest such shift, in steps of the layer's input grid; None if there is
            none except 0 (absolute positions).
        circular: True if this is exact for circular shifts, False if the border breaks it (zero
            padding).
        alias_free: True if shifts by fractions of a step are kept too, on maps without a harmonic
            at or above the grid's Nyquist frequency. Such a layer keeps whole pixels at any stride.

    Raises:
        ValueError: a period below 1, or something else than True or False.
    """

    period: int | None
    circular: bool = True
    alias_free: bool = False

    def __post_init__(self) -> None:
        if self.period is not None:
            check_at_least("period", self.period, 1)
        check_bool("circular", self.circular)
        check_bool("alias_free", self.alias_free)

    @property
    def lockable_period(self) -> int | None:
        """Shift period for an exact alignment; None if there is none."""
        return self.period if self.circular else None

    def at_stride(self, stride: int) -> Symmetry:
        """The same symmetry in pixels, for a layer whose input grid has this stride."""
        if self.period is None or self.alias_free:
            return self
        return Symmetry(self.period * stride, self.circular)

    @staticmethod
    def combine(parts: Iterable[Symmetry]) -> Symmetry:
        """Symmetry of a chain of layers, with all periods in pixels: the common multiple."""
        parts = list(parts)
        circular = all(part.circular for part in parts)
        periods = [part.period for part in parts]
        if any(period is None for period in periods):
            return Symmetry(None, circular)
        return Symmetry(math.lcm(*[period for period in periods if period is not None]), circular)


class Part(FxLeaf, OldBounds):
    """Base class of the layers that a configuration names (tokenizer, mixer, downsampling, …).

    A registered layer (`wavevit.layers.register_tokenizer`, …) needs `build`,
    `forward` and `symmetry`; the other declarations have defaults.

    Attributes:
        symmetry: the circular shifts that it keeps.
        Options: its own options, a frozen dataclass.
        any_size: of a tokenizer: it takes images whose sides its stride does not divide.
        any_patch: of a tokenizer: its stride need not be a power of two.
        resizes_patch: of a tokenizer: `resize_to` changes its stride too.
        reads_heads: of a mixer or downsampling: channels are divided among `num_heads`.
        holds_token: of a mixer: it takes prefix tokens (a class token).
        takes_mask: of a mixer: its `forward` takes ``attn_mask`` over all tokens.
        takes_weights: of a mixer: its `forward` takes a `TokenLayout` as ``attn_mask``.
        weighted: of a tokenizer: called with ``candidates=True`` it returns tokens (B, M, D) of
            several sizes and their weights (B, M).
        hosts: of a mixer or downsampling: positions that it computes inside its attention.
        inside_mixers: of a position: it is computed inside mixers, not added to tokens.
        unbounded: why there is no Lipschitz constant, to be read after the part's name. Rules for
            constants are in `wavevit.measure.certify`; parts there need not say it here.
    """

    symmetry: Symmetry
    Options: ClassVar[type[PartOptions]] = NoOptions
    any_size = False
    any_patch = False
    resizes_patch = False
    reads_heads = False
    holds_token = False
    takes_mask = False
    takes_weights = False
    weighted = False
    hosts: ClassVar[tuple[str, ...]] = ()
    inside_mixers = False
    unbounded = "declares no Lipschitz constant"

    @classmethod
    def build(cls, context: PartContext, options: Any) -> Self:
        """Builds the layer for a place in a backbone.

        Args:
            context: values that every layer may read.
            options: an instance of the layer's `Options`.
        """
        raise NotImplementedError(f"{cls.__name__} has no classmethod build")

    @classmethod
    def first_conv(cls, options: Any) -> str | tuple[()]:
        """Of a tokenizer: its convolution that reads the image (timm's word), ``()`` for none."""
        return ()

    def reset_parameters(self) -> None:
        """Initialises weights that need other values than the default initialisation.

        A backbone calls it once, after its linear layers are initialised (truncated normal,
        0.02) and after the layers inside. By default it does nothing.
        """

    def resize_to(self, context: PartContext, options: Any) -> None:
        """Changes the training size, in place, to that of the context (`set_input_size`)."""

    def simplified(self) -> nn.Module | None:
        """The same function in fewer steps, for inference (`Backbone.fold`); None for none."""
        return None

    @property
    def stride(self) -> int:
        """Of a tokenizer: pixels per token."""
        return self.symmetry.period or 1

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Adapts tensors of a checkpoint for other images to this layer.

        Called by `wavevit.adapt_state_dict`, for images of another size or number of channels.

        Args:
            state: the checkpoint's tensors of this layer, by their names in it.
            source: grid and channels of the checkpoint's images, if known.

        Returns:
            The tensors that change, by the same names.
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
