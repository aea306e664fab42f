"""Smooth random shapes: ellipse, rectangle, triangle, flower."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wavevit.checks import check_choice

__all__ = ["SHAPES", "Placed", "levels", "outline"]

SHAPES = ("ellipse", "rectangle", "triangle", "flower")

_PETALS, _DEPTH = 5, 0.35


class Placed(NamedTuple):
    """A shape at a place.

    Attributes:
        shape: index into `SHAPES`.
        row: of its middle, in pixels.
        column: of its middle.
        radius: largest distance of its outline from the middle, in pixels.
        aspect: how much narrower it is in the other direction, in (0, 1].
        angle: of its longer direction, in radians.
    """

    shape: int
    row: float
    column: float
    radius: float
    aspect: float
    angle: float


def outline(shape: str, angle: Tensor) -> Tensor:
    """Distance of the outline from the middle in each direction, at most 1.

    Args:
        shape: one of `SHAPES`.
        angle: in radians.

    Raises:
        ValueError: another shape.
    """
    check_choice("shape", shape, SHAPES)
    if shape == "ellipse":
        return torch.ones_like(angle)
    if shape == "flower":
        return (1 + _DEPTH * torch.cos(_PETALS * angle)) / (1 + _DEPTH)
    sides = 4 if shape == "rectangle" else 3
    normals = 2 * math.pi * torch.arange(sides, dtype=angle.dtype, device=angle.device) / sides
    # The outline of a polygon is 1 over the largest of these cosines. A norm rounds its corners.
    towards = torch.cos(angle[..., None] - normals).clamp(min=0)
    sharp = _twelfth_power(towards).sum(-1).pow(-1 / 12)
    corner = _twelfth_power(torch.cos(torch.tensor(math.pi / sides, dtype=angle.dtype)))
    return sharp * (2 * corner).pow(1 / 12)


def _twelfth_power(x: Tensor) -> Tensor:
    # Three products: torch's `pow` takes ten times as long.
    fourth = x.square().square()
    return fourth.square() * fourth


def levels(placed: Sequence[Placed], height: int, width: int) -> Tensor:
    """A function (n, height, width) of pixels for each shape: above 0 inside the shape.

    Near the outline it is about the distance from it in pixels.

    Args:
        placed: shapes.
        height: of the picture.
        width: of the picture.
    """
    numbers = torch.tensor([one[1:] for one in placed]).reshape(len(placed), 5, 1, 1)
    row, column, radius, aspect, angle = numbers.unbind(1)
    rows = torch.arange(height)[:, None] + 0.5 - row
    columns = torch.arange(width)[None] + 0.5 - column
    along = columns * angle.cos() + rows * angle.sin()
    across = (rows * angle.cos() - columns * angle.sin()) / aspect
    directions, distance = torch.atan2(across, along), torch.hypot(along, across)
    border = torch.empty_like(directions)
    kinds = torch.tensor([one.shape for one in placed], dtype=torch.long)
    for index, name in enumerate(SHAPES):
        border[kinds == index] = outline(name, directions[kinds == index])
    return radius * border - distance
