"""Position encodings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_multiple, fail
from wavevit.layers.channels import Source
from wavevit.layers.context import PartContext
from wavevit.layers.options import NoOptions
from wavevit.layers.padding import DepthwiseConv
from wavevit.layers.registry import register_position
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets._engine.symbolic_shapes import known_equal

__all__ = [
    "ConvPosition",
    "LearnedPosition",
    "NoPosition",
    "RelativeBiasPosition",
    "RotaryPosition",
    "SinCosPosition",
]


@register_position("learned")
class LearnedPosition(Part):
    """Learned absolute positions: one vector for each position, resampled to other grids.

    Args:
        dim: channels of a token.
        grid: (h, w) of the training size.
        prefix: number of prefix tokens (class token); they get vectors too.

    Source:
        Dosovitskiy et al. 2021; bicubic resampling as in timm.
    """

    symmetry = Symmetry(None)

    def __init__(self, dim: int, grid: tuple[int, int], prefix: int = 0) -> None:
        super().__init__()
        self.grid, self.prefix = grid, prefix
        self.embedding = nn.Parameter(torch.empty(1, prefix + grid[0] * grid[1], dim))
        nn.init.trunc_normal_(self.embedding, std=0.02)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.grid, context.prefix_tokens)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, T + h·w, D) to the same shape."""
        return x + self._resampled(grid).to(x.dtype)

    def _resampled(self, grid: tuple[int, int]) -> Tensor:
        # With symbolic sizes the grid is a symbol: the resampling stays in, and is exact.
        if all(known_equal(a, b) for a, b in zip(grid, self.grid, strict=True)):
            return self.embedding
        return self._moved(self.embedding, self.grid, grid)

    def _moved(self, embedding: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
        prefix, places = embedding.split([self.prefix, old[0] * old[1]], dim=1)
        image = places.transpose(1, 2).unflatten(2, old).float()
        image = F.interpolate(image, size=new, mode="bicubic", antialias=True)
        return torch.cat([prefix, image.flatten(2).transpose(1, 2).to(prefix.dtype)], dim=1)

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """Vectors resampled to the own grid, by what `forward` does at other sizes.

        Where the checkpoint's grid is unknown (a state dict says it, a file of safetensors does
        not) it is taken to be the own one if the number of places is the same, else square. If both
        are possible and differ, it is refused.

        Raises:
            ValueError: a grid of another number of places, or one that is unknown where neither or
                both of these have the number of places and differ.
        """
        embedding, grid = state.get("embedding"), source.grid
        if embedding is None or embedding.ndim != 3:
            return {}
        places = embedding.shape[1] - self.prefix
        side = math.isqrt(max(places, 0))
        if grid is None and places == self.grid[0] * self.grid[1]:
            if side**2 == places and self.grid != (side, side):
                expected = "the training size of the checkpoint: its positions may be on a grid of "
                expected += f"{self.grid[0]} x {self.grid[1]}, as the model's, or of "
                fail("img_size", f"{expected}{side} x {side}", None)
            return {}
        if grid is None and side**2 == places:
            grid = (side, side)
        if grid is None or grid[0] * grid[1] != places:
            asked = "unknown" if grid is None else f"{grid[0]} x {grid[1]}"
            expected = f"the training size of the checkpoint, which has {places} positions"
            fail("img_size", expected, f"one whose grid is {asked}")
        if grid == self.grid:
            return {}
        return {"embedding": self._moved(embedding, grid, self.grid)}

    def resize(self, grid: tuple[int, int]) -> None:
        """Makes `grid` the own one, in place; the vectors are resampled to it."""
        if grid != self.grid:
            moved = self._moved(self.embedding.detach(), self.grid, grid)
            self.embedding = nn.Parameter(moved, self.embedding.requires_grad)
            self.grid = grid

    def resize_to(self, context: PartContext, options: NoOptions) -> None:
        """The grid of the context."""
        self.resize(context.grid)


@register_position("sincos")
class SinCosPosition(Part):
    """Fixed absolute positions: sines and cosines of row and column.

    Args:
        dim: channels of a token, a multiple of 4 (sine and cosine of rows and of columns).

    Raises:
        ValueError: another number of channels.

    Source:
        Vaswani et al. 2017; in two dimensions as in MAE (He et al. 2022), appendix A.1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        check_multiple("embed_dim (position='sincos')", dim, 4)
        self.dim = dim
        self.symmetry = Symmetry(None)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, T + h·w, D) to the same shape; tokens without a place stay as they are."""
        quarter = self.dim // 4
        steps = torch.arange(quarter, device=x.device, dtype=torch.float32) / quarter
        rates = 10_000**-steps
        rows = torch.arange(grid[0], device=x.device)[:, None] * rates
        columns = torch.arange(grid[1], device=x.device)[:, None] * rates
        rows = torch.cat([rows.sin(), rows.cos()], dim=1)[:, None].expand(-1, grid[1], -1)
        columns = torch.cat([columns.sin(), columns.cos()], dim=1)[None].expand(grid[0], -1, -1)
        places = torch.cat([columns, rows], dim=2).flatten(0, 1).to(x.dtype)
        return x + F.pad(places, (0, 0, x.shape[1] - places.shape[0], 0))


@register_position("conv")
class ConvPosition(Part):
    """Convolutional positions: a depthwise 3 x 3 convolution added to the tokens.

    With ``"circular"`` padding it keeps every shift of the grid; with zeros the network can find
    the border.

    Args:
        dim: channels of a token.
        padding: ``"zeros"`` or ``"circular"``.

    Source:
        Chu et al. 2021 (CPVT).
    """

    def __init__(self, dim: int, padding: str) -> None:
        super().__init__()
        self.conv = DepthwiseConv(dim, 3, padding)
        self.symmetry = Symmetry(1, padding == "circular", alias_free=True)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls(context.dim, context.padding)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, T + h·w, D) to the same shape; tokens without a place stay as they are."""
        prefix, places = x.split([x.shape[1] - grid[0] * grid[1], grid[0] * grid[1]], dim=1)
        image = places.transpose(1, 2).unflatten(2, grid)
        places = places + self.conv(image).flatten(2).transpose(1, 2)
        return torch.cat([prefix, places], dim=1) if prefix.shape[1] else places


@register_position("none")
class NoPosition(Part):
    """No positions: the network gets a set of tokens."""

    symmetry = Symmetry(1, alias_free=True)

    @classmethod
    def build(cls, context: PartContext, options: NoOptions) -> Self:
        return cls()

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return x


@register_position("relative_bias")
class RelativeBiasPosition(NoPosition):
    """Relative position biases, inside the mixers that support them."""

    inside_mixers = True


@register_position("rope")
class RotaryPosition(NoPosition):
    """Rotary positions (`Rotary`), inside the mixers that support them."""

    inside_mixers = True
