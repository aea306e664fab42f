"""Resize pictures without aliasing."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["resized"]


def resized(pixels: Tensor, short_side: int) -> Tensor:
    """A picture (C, H, W) resized to a shorter side, bilinear and antialiased.

    Args:
        pixels: of the picture.
        short_side: in pixels; the sides keep their ratio, rounded.
    """
    height, width = pixels.shape[-2:]
    scale = short_side / min(height, width)
    shape = tuple(max(round(side * scale), short_side) for side in (height, width))
    if shape == (height, width):
        return pixels
    return F.interpolate(pixels[None], shape, mode="bilinear", antialias=True)[0]
