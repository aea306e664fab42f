"""Which cell learns which box: the assignment of FCOS."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CellTargets", "assign"]


class CellTargets(NamedTuple):
    """What the cells of one image learn.

    Attributes:
        owner: (N,) index of a cell's box, -1 for background.
        quality: (N,) centre-ness of a cell in its box, in (0, 1]; 0 for background.
    """

    owner: Tensor
    quality: Tensor


def assign(
    boxes: Tensor, points: Tensor, strides: Tensor, reach: float = 4.0, radius: float = 1.5
) -> CellTargets:
    """Assigns boxes to the cells of a pyramid.

    A cell learns a box if its centre is inside the box and at most `radius` cells from the middle
    of the box, and if the box's farthest side is at a distance that belongs to the cell's map: up
    to `reach` cells, and for all maps but the finest, more than `reach` cells of the next finer
    map. The coarsest map takes all larger distances. A cell in several such boxes learns the
    smallest. A box of which no cell fits that rule is learned by those of its cells that are
    closest to fitting: all cells inside it whose map is the nearest one. A box without any centre
    of a cell (narrower than the finest stride) is not learned.

    Args:
        boxes: (n, 4).
        points: (N, 2) centres of the cells.
        strides: (N,) of the cells.
        reach: see above.
        radius: see above.

    Source:
        Tian et al. 2019, "FCOS" (distances by map; `reach` is 8 there); centre sampling as in
        their later code. The rule for boxes that no cell fits is ours.
    """
    count = len(points)
    if not len(boxes):
        owner = torch.full((count,), -1, device=points.device)
        return CellTargets(owner, points.new_zeros(count))
    distances = torch.cat(
        [points[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - points[:, None]], dim=-1
    )  # (N, n, 4)
    inside = distances.amin(-1) > 0
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    off = (points[:, None] - middle).abs().amax(-1)
    far = distances.amax(-1)
    known = strides.unique()  # ascending
    upper = torch.where(strides == known[-1], torch.inf, reach * strides)
    finer = torch.cat([known.new_zeros(1), known[:-1]])
    lower = reach * finer[torch.searchsorted(known, strides)]
    fits = (far > lower[:, None]) & (far <= upper[:, None])
    taken = inside & fits & (off <= radius * strides[:, None])
    # Boxes with no cell: the cells inside whose map fits best (a distance in octaves).
    octaves = (torch.log2(far / (reach * strides[:, None])) + 0.5).abs()
    octaves = torch.where(inside, octaves, torch.inf)
    closest = octaves <= octaves.amin(0) + 1e-6
    taken |= inside & closest & ~taken.any(0)
    size = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    smallest, owner = torch.where(taken, size[None], torch.inf).min(dim=1)
    owner = torch.where(smallest.isfinite(), owner, -1)
    own = distances[torch.arange(count, device=points.device), owner.clamp(min=0)]
    pairs = torch.stack([own[:, 0::2], own[:, 1::2]], dim=1)  # left and right, top and bottom
    ratio = pairs.amin(-1) / pairs.amax(-1).clamp(min=1e-12)
    quality = ratio.prod(1).clamp(min=0).sqrt()
    return CellTargets(owner, torch.where(owner >= 0, quality, 0.0))
