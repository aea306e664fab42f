"""`FeaturePyramid`: maps at chosen strides from any backbone."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_numbers, fail
from wavevit.layers.padding import pad_map
from wavevit.models import Backbone

__all__ = ["CellNorm", "FeaturePyramid", "MapConv", "deepest_maps", "maps_of"]


def deepest_maps(backbone: Backbone) -> dict[int, int]:
    """The last entry of ``feature_info`` at each stride.

    Args:
        backbone: any.

    Returns:
        Entries by stride, finest first.
    """
    # A later entry takes the place of an earlier one of the same stride.
    deepest = {int(entry["reduction"]): i for i, entry in enumerate(backbone.feature_info)}
    return dict(sorted(deepest.items()))


def maps_of(backbone: Backbone, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
    """Normalised maps of some entries of ``feature_info``.

    Args:
        backbone: any.
        images: (B, C, H, W).
        indices: entries, ascending.
    """
    maps: list[Tensor] = backbone.forward_intermediates(
        images, indices=list(indices), norm=True, intermediates_only=True
    )
    return maps


class MapConv(nn.Conv2d):
    """A 3x3 convolution that keeps the size of a map.

    Args:
        width: channels of the input.
        out: channels of the output.
        circular: pad with the opposite side in place of zeros.
    """

    def __init__(self, width: int, out: int, circular: bool = False) -> None:
        super().__init__(width, out, 3)
        self.border = "circular" if circular else "zeros"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad_map(x, 1, self.border))


class CellNorm(nn.LayerNorm):
    """LayerNorm over the channels of each cell of a map (B, C, H, W).

    Cells do not see each other, unlike with GroupNorm: what a crop shift brings into one corner
    does not change the answers elsewhere.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class FeaturePyramid(nn.Module):
    """Maps at the strides that a dense head asks for, made from the maps that a backbone has.

    The deepest map of each stride of the backbone is projected to `width` channels. A requested
    stride starts from the coarsest of these maps that is not coarser than it, or from the finest
    map. Transposed convolutions make a map finer, max pooling makes it coarser. A backbone with
    several strides then gets the top-down path of a feature pyramid network: each map adds the next
    coarser one, repeated. A columnar backbone gets the simple feature pyramid of ViTDet: all maps
    come from its last map, without that path. A 3x3 convolution gives each map its final form.

    Args:
        backbone: its maps are used; the pyramid does not keep it as a module.
        strides: of the maps in pixels, ascending.
        width: channels of each map.
        circular: convolutions see the opposite side of the map in place of zeros.

    Attributes:
        indices: entries of ``feature_info`` whose maps `forward` takes (`maps_of`).
        strides: of the maps.

    Raises:
        ValueError: no backbone, no strides, strides that do not ascend or are no power of two from
            a stride of the backbone, or strides that do not use its last map.

    Guarantees:
        The map of stride s of an image (H, W) has the size (⌈H/s⌉, ⌈W/s⌉), odd sizes too, and its
        cell (i, j) begins at pixel (i·s, j·s). With `circular`, maps follow circular shifts that
        the backbone's maps follow, by multiples of the coarsest stride
        (tests/properties/test_detection_laws.py).

    Source:
        Lin et al. 2017, "Feature Pyramid Networks for Object Detection"; Li et al. 2022,
        "Exploring Plain Vision Transformer Backbones for Object Detection" (there, the coarser maps
        are projected after pooling and the finer ones after the transposed convolutions).
    """

    def __init__(
        self,
        backbone: Backbone,
        strides: Sequence[int] = (4, 8, 16, 32),
        width: int = 64,
        circular: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone):
            fail("backbone", "a Backbone", type(backbone).__name__)
        check_numbers("strides", strides, "at least one stride in pixels, ascending")
        self.strides = tuple(strides)
        check_at_least("width", width, 1)
        if not self.strides or list(self.strides) != sorted(set(self.strides)):
            fail("strides", "at least one stride, ascending", list(strides))
        deepest = deepest_maps(backbone)
        starts = [_start(stride, list(deepest)) for stride in self.strides]
        used = sorted(set(starts))
        if used[-1] != max(deepest):
            expected = f"one of at least {max(deepest)}, the stride of the backbone's last map"
            fail("strides", expected, list(self.strides))
        self.top_down = len(deepest) > 1
        self.indices = [deepest[start] for start in used]
        self.sources = [used.index(start) for start in starts]
        channels = [int(backbone.feature_info[index]["num_chs"]) for index in self.indices]
        self.project = nn.ModuleList(
            nn.Conv2d(channels[source], width, 1) for source in self.sources
        )
        self.resample = nn.ModuleList(
            _resampling(width, start, stride)
            for start, stride in zip(starts, self.strides, strict=True)
        )
        self.smooth = nn.ModuleList(MapConv(width, width, circular) for _ in self.strides)
        self.norm = nn.ModuleList(CellNorm(width) for _ in self.strides)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Maps (B, width, ⌈H/s⌉, ⌈W/s⌉) for each stride s, finest first.

        Args:
            maps: of the backbone, for `indices`.
            size: (H, W) of the images.
        """
        levels = []
        for i, stride in enumerate(self.strides):
            level = self.resample[i](self.project[i](maps[self.sources[i]]))
            levels.append(_trimmed(level, size, stride))
        if self.top_down:
            for i in reversed(range(len(levels) - 1)):
                times = self.strides[i + 1] // self.strides[i]
                coarser = F.interpolate(levels[i + 1], scale_factor=times, mode="nearest")
                levels[i] = levels[i] + _trimmed(coarser, size, self.strides[i])
        return [
            norm(smooth(level))
            for norm, smooth, level in zip(self.norm, self.smooth, levels, strict=True)
        ]


def _start(stride: int, native: list[int]) -> int:
    """The backbone's stride whose map becomes the map of a requested stride."""
    start = max((own for own in native if own <= stride), default=native[0])
    ratio, rest = divmod(max(stride, start), max(min(stride, start), 1))
    if stride < 1 or rest or ratio & (ratio - 1):
        expected = f"a power of two times or below a stride of the backbone, one of {native}"
        fail("strides", expected, stride)
    return start


def _resampling(width: int, start: int, stride: int) -> nn.Module:
    if stride > start:
        # Ceil mode: the last cell of an odd map stays, alone in its window.
        times = stride // start
        return nn.MaxPool2d(times, ceil_mode=True)
    steps: list[nn.Module] = []
    while start > stride:
        # Cells do not overlap, so a circular shift of the map is one of the result too.
        steps += [nn.ConvTranspose2d(width, width, 2, stride=2), CellNorm(width), nn.GELU()]
        start //= 2
    return nn.Sequential(*steps)


def _trimmed(x: Tensor, size: Sequence[int], stride: int) -> Tensor:
    """Without the cells that begin beyond the image, which an enlarged map of odd size has."""
    return x[..., : -(-size[0] // stride), : -(-size[1] // stride)]
