"""Activations of MLPs, pointwise on the token grid or without aliasing.

A pointwise function creates harmonics above the Nyquist frequency of the grid. They alias, and the
result depends on the position of the content between the samples. There are three options: accept
this, evaluate on a finer grid, or use a function whose harmonics are known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self, cast

import torch.nn.functional as F
from torch import Tensor

from wavevit.deprecated import deprecated_names
from wavevit.layers.band_limit import dirichlet
from wavevit.layers.context import PartContext
from wavevit.layers.registry import ACTIVATIONS as _REGISTRY
from wavevit.layers.registry import register_activation
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets._engine.symbolic_shapes import known_equal, larger

__all__ = ["Activation", "Gate", "Gelu", "OversampledGelu", "make_activation"]


class Activation(Part, ABC):
    """A non-linearity of tokens.

    Attributes:
        inputs: number of input channels for each output channel.
        needs_map: it reads the tokens as a map, so there cannot be a class token.
        multiplies: it multiplies tokens with tokens, so the weights before it start larger.
    """

    inputs = 1
    needs_map = False
    multiplies = False

    @classmethod
    def build(cls, context: PartContext | None = None, options: Any = None) -> Self:
        return cls()

    @abstractmethod
    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, N, inputs · D) on their grid to (B, N, D)."""


@register_activation("gelu")
class Gelu(Activation):
    """GELU of every number on the token grid; it aliases."""

    symmetry = Symmetry(1)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return F.gelu(x)


class _Dealiased(Activation):
    """Evaluates on a finer grid and comes back to what the own grid can hold."""

    needs_map = True

    @abstractmethod
    def finer(self, side: int) -> int:
        """Samples of the finer grid."""

    @abstractmethod
    def point(self, x: Tensor) -> Tensor:
        """The pointwise function, (…, inputs · D) to (…, D)."""

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        (h, w), (fine_h, fine_w) = grid, (self.finer(grid[0]), self.finer(grid[1]))
        rows = dirichlet(h, fine_h, x, least=h)
        columns = rows if known_equal(h, w) else dirichlet(w, fine_w, x, least=w)
        batch, _, dim = x.shape  # written out: nothing can be inferred of an empty batch
        x = (rows @ x.reshape(batch, h, w * dim)).reshape(batch * fine_h, w, dim)
        x = self.point(columns @ x)
        # The way back is the transpose: both matrices hold the same harmonics.
        dim = x.shape[-1]
        x = (columns.T @ x).reshape(batch, fine_h, w * dim)
        return (rows.T @ x).reshape(batch, h * w, dim) * (h * w / (fine_h * fine_w))


@register_activation("gelu_2x")
class OversampledGelu(_Dealiased):
    """GELU on a grid twice as fine, low-passed back: the strongest harmonics do not alias.

    GELU is no polynomial, so its harmonics never end: exact where the finer grid is the pixels'
    (stride 2), a few thousandths elsewhere.

    Source:
        Karras et al. 2021 (StyleGAN3); Michaeli & Soudry 2025 (Alias-Free ViT).
    """

    symmetry = Symmetry(1)

    def finer(self, side: int) -> int:
        return 2 * side

    def point(self, x: Tensor) -> Tensor:
        return F.gelu(x)


@register_activation("gate")
class Gate(_Dealiased):
    """The product of two halves of the channels, without aliasing.

    The product of two numbers of size s has size s²: what feeds a gate is initialised to keep its
    size (`blocks.init_gated`).

    Two maps with K harmonics have a product with 2K. On a circle of 3K + 1 samples those above K
    alias onto each other and not onto the K that are kept, so half as fine again is enough.

    Guarantees:
        Commutes with every shift of a band-limited map, fractions of a step included
        (tests/properties/test_band_limit_laws.py).

    Source:
        The 3/2 rule is Orszag 1971; gates without another non-linearity are Dauphin et al. 2017
        (bilinear units).
    """

    inputs = 2
    multiplies = True
    symmetry = Symmetry(1, alias_free=True)

    def finer(self, side: int) -> int:
        return larger(3 * ((side - 1) // 2) + 1, side)

    def point(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=-1)
        return left * right


def make_activation(kind: str) -> Activation:
    """The activation of that name."""
    return cast("type[Activation]", _REGISTRY.get(kind)).build()


__getattr__ = deprecated_names(
    __name__, {"ACTIVATIONS": ("wavevit.layers.ACTIVATIONS.values()", _REGISTRY.values)}
)
