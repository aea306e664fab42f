"""Window attention (Swin): attention inside windows; every second block shifts the windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import as_pair, check_multiple, check_size
from wavevit.layers.channels import Source
from wavevit.layers.context import PartContext
from wavevit.layers.heads import merge_heads, split_heads
from wavevit.layers.options import PartOptions
from wavevit.layers.registry import register_mixer
from wavevit.layers.rotary import Rotary, rotary_of
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.wavelets._engine.symbolic_shapes import take

__all__ = ["WindowAttention", "WindowOptions"]

# What keeps tokens apart that the roll has brought together; exp(-100) is 0 in float32.
_APART = -100.0


def _resampled(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """A bias for each offset, (rows · columns, heads), of a window of another size."""
    image = table.T.unflatten(1, old)[None].float()
    image = F.interpolate(image, size=new, mode="bicubic", antialias=True)
    return image[0].flatten(1).T.to(table.dtype).contiguous()


@dataclass(frozen=True)
class WindowOptions(PartOptions):
    """Options of the mixer ``"window"``.

    Attributes:
        window_size: side of a window in tokens, or its (height, width).

    Raises:
        ValueError: something else than one or two sides of at least 1.
    """

    window_size: int | tuple[int, int] = 7

    def __post_init__(self) -> None:
        object.__setattr__(self, "window_size", check_size("window_size", self.window_size))

    def scaled(self, width: int, pixels: Fraction) -> Self:
        """The same share of the image in a window."""
        rows, columns = (round(side * pixels) for side in as_pair(self.window_size))
        square = isinstance(self.window_size, int)
        return replace(self, window_size=rows if square else (rows, columns))


@register_mixer("window")
class WindowAttention(Part):
    """Softmax attention of each token to the others of its window.

    A grid that no window divides is padded at the bottom and right with zeros before it is
    shifted, as in Swin's own detection code (timm pads after the shift); a grid that one window
    covers is not shifted.

    Args:
        dim: channels of a token.
        num_heads: number of heads, a divisor of `dim`.
        window_size: side of a window in tokens, or its (height, width).
        shifted: move the windows by half their side (every second block does).
        relative_bias: add a learned bias for each offset between two tokens of a window.
        qkv_bias: whether queries, keys and values have a bias.
        padding: ``"zeros"`` masks attention across the seam of the shifted grid, as in Swin;
            ``"circular"`` lets the windows wrap, which keeps shifts by a window exactly where
            the window divides the grid.
        rotary: turns queries and keys by their places in the window, which is no circle.

    Raises:
        ValueError: `num_heads` does not divide `dim`.

    Source:
        Liu et al. 2021 (Swin), section 3.2.
    """

    Options = WindowOptions
    reads_heads = True
    hosts = ("relative_bias", "rope")

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int | tuple[int, int] = 7,
        shifted: bool = False,
        relative_bias: bool = True,
        qkv_bias: bool = True,
        padding: str = "zeros",
        rotary: Rotary | None = None,
    ) -> None:
        super().__init__()
        check_multiple("embed_dim", dim, num_heads)
        self.num_heads, self.shifted = num_heads, shifted
        self.window_size = as_pair(window_size)
        self.circular, self.rotary = padding == "circular", rotary
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.bias_table = None
        if relative_bias:
            rows, columns = self._offsets
            self.bias_table = nn.Parameter(torch.empty(rows * columns, num_heads))
            nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.symmetry = Symmetry(math.lcm(*self.window_size), circular=self.circular)

    @classmethod
    def build(cls, context: PartContext, options: WindowOptions) -> Self:
        return cls(
            context.dim,
            context.num_heads,
            options.window_size,
            shifted=context.block % 2 == 1,
            relative_bias=context.position == "relative_bias",
            qkv_bias=context.qkv_bias,
            padding=context.padding,
            rotary=rotary_of(context, "zeros"),  # a window is no circle
        )

    @property
    def shift(self) -> tuple[int, int]:
        """Half a window, where the windows are shifted."""
        height, width = self.window_size
        return (height // 2, width // 2) if self.shifted else (0, 0)

    @property
    def _offsets(self) -> tuple[int, int]:
        """Rows and columns of offsets between two tokens of a window: the sides of the table."""
        return 2 * self.window_size[0] - 1, 2 * self.window_size[1] - 1

    def adapt_state(self, state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
        """The table of a square window of another side, resampled.

        A table that fits as it is, or that no square window has, stays as it is.
        """
        table = state.get("bias_table")
        if self.bias_table is None or table is None or len(table) == len(self.bias_table):
            return {}
        side = math.isqrt(len(table))
        if side**2 != len(table) or side % 2 == 0:
            return {}
        return {"bias_table": _resampled(table, (side, side), self._offsets)}

    def resize(self, window_size: tuple[int, int]) -> None:
        """Changes the window, in place; the table of biases is resampled."""
        before, self.window_size = self._offsets, window_size
        if self.bias_table is not None and before != self._offsets:
            moved = _resampled(self.bias_table.detach(), before, self._offsets)
            self.bias_table = nn.Parameter(moved, self.bias_table.requires_grad)
        self.symmetry = Symmetry(math.lcm(*window_size), circular=self.circular)

    def resize_to(self, context: PartContext, options: WindowOptions) -> None:
        """The window of the options."""
        self.resize(as_pair(options.window_size))

    def _bias(self, height: int, width: int) -> Tensor | None:
        """(heads, N, N) for a window of that size, read off the table's middle."""
        if self.bias_table is None:
            return None
        device = self.bias_table.device
        rows = torch.arange(height, device=device).repeat_interleave(width)
        columns = torch.arange(width, device=device).repeat(height)
        dy = rows[:, None] - rows[None, :] + self.window_size[0] - 1
        dx = columns[:, None] - columns[None, :] + self.window_size[1] - 1
        return self.bias_table[dy * self._offsets[1] + dx].permute(2, 0, 1)

    def _mask(self, padded: tuple[int, int], window: tuple[int, int], like: Tensor) -> Tensor:
        """(windows, N, N): zero between tokens of one region of the shifted grid."""

        def regions(side: int, size: int, shift: int) -> Tensor:
            place = torch.arange(side, device=like.device)
            if side == size:  # one window covers this axis: it is not shifted
                return torch.zeros_like(place)
            return (place >= side - size).long() + (place >= side - shift).long()

        sides = zip(padded, window, self.shift, strict=True)
        rows, columns = (regions(*each) for each in sides)
        labels = 3 * rows[:, None] + columns[None, :]
        counts = (padded[0] // window[0], padded[1] // window[1])
        labels = labels.unflatten(1, (counts[1], window[1])).unflatten(0, (counts[0], window[0]))
        labels = labels.transpose(1, 2).flatten(2).flatten(0, 1)
        apart = labels[:, :, None] != labels[:, None, :]
        return torch.zeros_like(apart, dtype=like.dtype).masked_fill(apart, _APART)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, D) on their grid (h, w) to the same shape."""
        batch, _, dim = x.shape
        height, width = grid
        # Written out, so that an exporter's range of sizes decides it.
        tall, wide = self.window_size
        window = (tall if height > tall else height, wide if width > wide else width)
        sides = zip(grid, window, self.shift, strict=True)
        shift = tuple(step if side > size else 0 for side, size, step in sides)
        # Whole windows, so that a graph with symbols for sides knows them for such.
        rows, columns = -(-height // window[0]), -(-width // window[1])
        padded = (rows * window[0], columns * window[1])
        image = x.unflatten(1, grid)
        image = F.pad(image, (0, 0, 0, padded[1] - width, 0, padded[0] - height))
        if any(shift):
            image = torch.roll(image, (-shift[0], -shift[1]), dims=(1, 2))
        # (B, rows, wh, columns, ww, D) -> (B · windows, N, D)
        image = image.unflatten(2, (columns, window[1])).unflatten(1, (rows, window[0]))
        tokens = image.transpose(2, 3).flatten(3, 4).flatten(0, 2)
        q, k, v = split_heads(self.qkv(tokens), 3, self.num_heads)
        if self.rotary is not None:
            q, k = self.rotary(q, window), self.rotary(k, window)
        tokens = F.scaled_dot_product_attention(
            q, k, v, attn_mask=self._attention_bias(padded, window, shift, batch, q)
        )
        tokens = self.proj(merge_heads(tokens))
        image = tokens.reshape(batch, rows, columns, window[0], window[1], dim)
        image = image.transpose(2, 3).reshape(batch, padded[0], padded[1], dim)
        if any(shift):
            image = torch.roll(image, shift, dims=(1, 2))
        return take(take(image, 1, 0, height), 2, 0, width).flatten(1, 2)

    def _attention_bias(
        self,
        padded: tuple[int, int],
        window: tuple[int, int],
        shift: tuple[int, ...],
        batch: int,
        like: Tensor,
    ) -> Tensor | None:
        """Relative bias plus the mask of a shifted grid, for scores (B · windows, heads, N, N)."""
        bias = self._bias(*window)
        if not any(shift) or self.circular:
            return None if bias is None else bias.to(like.dtype)
        mask = self._mask(padded, window, like)[:, None]
        if bias is not None:
            mask = mask + bias.to(like.dtype)
        return mask.repeat(batch, 1, 1, 1)
