"""Rotary positions: queries and keys rotated by position, so that scores depend on offsets."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wavevit.checks import check_multiple
from wavevit.layers.context import PartContext
from wavevit.layers.symmetry import Part, Symmetry

__all__ = ["Rotary", "rotary_of"]

_BASE = 100.0  # longest over shortest wave: a grid of tokens is short beside a text


class Rotary(Part):
    """Rotates pairs of channels, half of them by the row and half by the column of a token.

    The dot product of two rotated vectors depends only on their offset on a plane. On a circular
    map this works only if every wavelength fits the side a whole number of times: with
    ``"circular"`` each rate is rounded so that it fits, and every circular shift is kept exactly.

    Args:
        head_dim: channels of a query, a multiple of 4 (a pair for rows, a pair for columns).
        padding: ``"zeros"`` for the plain rotation, ``"circular"`` for rounded wavelengths.

    Raises:
        ValueError: another number of channels.

    Source:
        Su et al. 2021 (RoFormer); axial in two dimensions with base 100 as in Heo et al., ECCV
        2024. Rounded wavelengths are ours.
    """

    def __init__(self, head_dim: int, padding: str) -> None:
        super().__init__()
        check_multiple("embed_dim / num_heads (position='rope')", head_dim, 4)
        self.bands, self.closes = head_dim // 4, padding == "circular"
        self.symmetry = Symmetry(1, circular=self.closes)

    def _angles(self, side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """(side, bands) in radians."""
        steps = torch.arange(self.bands, device=device, dtype=dtype) / self.bands
        rates = _BASE**-steps
        places = torch.arange(side, device=device)[:, None]
        if not self.closes:
            return places * rates
        waves = (rates * side / math.tau).round().clamp_min(1).long()
        # A tensor, because ONNX takes no remainder of a side that is a symbol.
        circle = torch.full((), side, device=device, dtype=waves.dtype)
        return (places * waves % circle).to(dtype) * (math.tau / side)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Queries or keys (B, heads, T + h·w, d); the first T have no place and stay."""
        places = grid[0] * grid[1]
        dtype = torch.promote_types(x.dtype, torch.float32)
        rows, columns = (self._angles(side, x.device, dtype) for side in grid)
        rows = rows[:, None].expand(-1, grid[1], -1)
        columns = columns[None].expand(grid[0], -1, -1)
        angles = torch.cat([rows, columns], dim=2).flatten(0, 1)
        prefix, x = x.split([x.shape[2] - places, places], dim=2)
        return torch.cat([prefix, _turned(x, angles)], dim=2)

    def at(self, x: Tensor, places: Tensor, grid: tuple[int, int]) -> Tensor:
        """Queries or keys (B, heads, N, d) of tokens anywhere on the plane.

        Args:
            x: queries or keys.
            places: (B, N, 2), rows and columns, whole numbers in the middle of the grid's cells;
                0 for tokens without a place, which stay.
            grid: the side of the circle, with ``"circular"``.
        """
        dtype = torch.promote_types(x.dtype, torch.float32)
        rates = _BASE ** -(torch.arange(self.bands, device=x.device, dtype=dtype) / self.bands)
        angles = []
        for axis, side in enumerate(grid):
            place = places[..., axis, None].to(dtype)
            if self.closes:
                waves = (rates * side / math.tau).round().clamp_min(1)
                angles.append((place * waves).remainder(side) * (math.tau / side))
            else:
                angles.append(place * rates)
        return _turned(x, torch.cat(angles, dim=-1)[:, None])


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """Pairs of channels, one of each half, turned by their angles."""
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, two = x.chunk(2, dim=3)
    return torch.cat([one * cos - two * sin, two * cos + one * sin], dim=3)


def rotary_of(context: PartContext, padding: str) -> Rotary | None:
    """The rotations of a mixer's heads where the model has ``position="rope"``, else None."""
    if context.position != "rope":
        return None
    return Rotary(context.dim // context.num_heads, padding)
