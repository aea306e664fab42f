"""`DetectionHead`: for each cell of each map, class scores, a box and its centre-ness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.tasks.feature_pyramid import CellNorm, MapConv

__all__ = ["CellAnswers", "DetectionHead", "centers"]

_PRIOR = 0.01  # score of every class at the start, so that the many empty cells do not dominate


class CellAnswers(NamedTuple):
    """Answers for all cells of all maps, finest map first, row by row.

    Attributes:
        logits: (B, N, classes), of the classes.
        distances: (B, N, 4), from a cell's centre to the left, top, right and bottom side of its
            box, in pixels, above 0.
        quality: (B, N), logit of the centre-ness.
        points: (N, 2), x and y of the cells' centres in pixels.
        strides: (N,), of the cells.
    """

    logits: Tensor
    distances: Tensor
    quality: Tensor
    points: Tensor
    strides: Tensor

    def boxes(self) -> Tensor:
        """(B, N, 4), not clipped."""
        low, high = self.points - self.distances[..., :2], self.points + self.distances[..., 2:]
        return torch.cat([low, high], dim=-1)


def centers(height: int, width: int, stride: int, device: torch.device | None = None) -> Tensor:
    """Centres (height·width, 2) of the cells of a map, x and y in pixels, row by row.

    Args:
        height: of the map.
        width: of the map.
        stride: pixels of a cell.
        device: of the result.
    """
    rows, columns = (
        (torch.arange(n, device=device, dtype=torch.float32) + 0.5) * stride
        for n in (height, width)
    )
    return torch.stack(
        [columns.expand(height, width), rows[:, None].expand(height, width)], dim=-1
    ).flatten(0, 1)


class DetectionHead(nn.Module):
    """The head of FCOS: the same small convolutions on all maps of a pyramid.

    Args:
        width: channels of the maps.
        num_classes: number of classes.
        strides: of the maps.
        depth: convolutions before the answers, in each of both branches.
        circular: see `FeaturePyramid`.

    Guarantees:
        A cell's answers depend on the cells of its map up to `depth` + 1 away, and on no others
        (tests/properties/test_detection_laws.py).

    Source:
        Tian et al. 2019, "FCOS", with the centre-ness beside the box as in their later code. Other
        than there, distances are a softplus, which cannot overflow, and norms are of each cell.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        strides: Sequence[int],
        depth: int = 2,
        circular: bool = False,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.class_branch, self.box_branch = (
            nn.Sequential(
                *(
                    layer
                    for _ in range(depth)
                    for layer in (
                        MapConv(width, width, circular),
                        CellNorm(width),
                        nn.GELU(),
                    )
                )
            )
            for _ in range(2)
        )
        self.classify = MapConv(width, num_classes, circular)
        self.regress = MapConv(width, 4, circular)
        self.rate = MapConv(width, 1, circular)
        # Of shape (1,): some sharded optimisers refuse parameters without an axis.
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in self.strides)
        # Boxes of side 4 cells, and a small score, at the start.
        score, side = -math.log((1 - _PRIOR) / _PRIOR), math.log(math.expm1(2.0))
        layers = ((self.classify, score), (self.regress, side), (self.rate, 0.0))
        for layer, bias in layers:
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)

    def maps(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each map logits (B, classes, h, w), distances (B, 4, h, w), quality (B, 1, h, w)."""
        found = []
        for level, stride, scale in zip(levels, self.strides, self.scales, strict=True):
            inner = self.box_branch(level)
            raw = self.regress(inner)
            # Pixels in half precision would be rounded to quarters.
            raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
            distances = stride * F.softplus(scale * raw)
            found.append((self.classify(self.class_branch(level)), distances, self.rate(inner)))
        return found

    def forward(self, levels: Sequence[Tensor]) -> CellAnswers:
        """Answers for all cells of the maps (B, width, h, w) of a pyramid."""
        maps = self.maps(levels)
        logits, distances, quality = (
            torch.cat([item[k].flatten(2).mT for item in maps], dim=1) for k in range(3)
        )
        wide = distances.dtype
        points, strides = [], []
        for level, stride in zip(levels, self.strides, strict=True):
            height, width = level.shape[-2:]
            points.append(centers(height, width, stride, level.device).to(wide))
            strides.append(points[-1].new_full((height * width,), stride))
        return CellAnswers(
            logits.to(wide),
            distances,
            quality[..., 0].to(wide),
            torch.cat(points),
            torch.cat(strides),
        )
