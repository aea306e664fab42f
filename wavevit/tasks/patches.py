"""Images as patches and back, and random hidden patches."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["from_patches", "random_mask", "to_patches", "to_pixels"]


def to_patches(images: Tensor, side: int) -> Tensor:
    """Cuts images into patches, row by row.

    Args:
        images: (B, C, H, W); `side` divides H and W.
        side: of a patch in pixels.

    Returns:
        (B, N, C, side, side).
    """
    batch, channels, height, width = images.shape
    grid = images.reshape(batch, channels, height // side, side, width // side, side)
    return grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)


def from_patches(patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """The inverse of `to_patches`.

    Args:
        patches: (B, N, C, s, s).
        grid: rows and columns of patches.
    """
    batch, _, channels, side, _ = patches.shape
    rows = patches.unflatten(1, grid).permute(0, 3, 1, 4, 2, 5)
    return rows.reshape(batch, channels, grid[0] * side, grid[1] * side)


def to_pixels(mask: Tensor, side: int) -> Tensor:
    """A mask of patches (B, h, w) as a mask of pixels (B, 1, h·side, w·side)."""
    return mask.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, None]


def random_mask(
    count: int, grid: tuple[int, int], ratio: float, generator: torch.Generator | None
) -> Tensor:
    """Random hidden patches, equally many in each image, at least one hidden and one visible.

    Args:
        count: number of images.
        grid: rows and columns of patches, at least two patches.
        ratio: share of patches to hide.
        generator: on the CPU; None for torch's global generator.

    Returns:
        (count, h, w) booleans, True where hidden, on the CPU.
    """
    places = grid[0] * grid[1]
    hidden = min(max(round(places * ratio), 1), places - 1)
    order = torch.rand(count, places, generator=generator).argsort(1)
    return (order < hidden).unflatten(1, grid)
