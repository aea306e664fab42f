"""Scale sensitivity: how much zoom changes an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, check_callable, check_image, check_numbers, fail
from wavevit.measure.evaluation import Model, in_batches
from wavevit.measure.intervals import Interval, mean_interval, standard_error
from wavevit.measure.shifting import center_crop

__all__ = ["ScaleSensitivity", "scale_sensitivity", "zoomed"]


@dataclass(frozen=True)
class ScaleSensitivity:
    """Change of an embedding under zoom, in units of the distance between images.

    Attributes:
        zooms: factors; 2 shows half of the crop's side at twice the size.
        values: one per zoom; 0 = invariant, 1 = as different as another image.
        stderr: standard error of each value over images.
        images: number of images.
    """

    zooms: tuple[float, ...]
    values: tuple[float, ...]
    stderr: tuple[float, ...]
    images: int

    @property
    def interval(self) -> tuple[Interval, ...]:
        """95 % interval of each value (Student), the distance between images taken as given."""
        pairs = zip(self.values, self.stderr, strict=True)
        return tuple(mean_interval(value, stderr, self.images) for value, stderr in pairs)


def zoomed(windows: Tensor, zoom: float, crop_size: int) -> Tensor:
    """Zooms into the middle of each window.

    Whole pixels are cut, ``round(crop_size / zoom)`` a side: where that and the window's side
    differ by an odd number, the part is half a pixel above and left of the middle (`center_crop`).

    Args:
        windows: (N, C, H, W), at least ``crop_size / zoom`` a side.
        zoom: above 1 magnifies; below 1 shows a larger area (with antialiasing).
        crop_size: side of the result in pixels.

    Returns:
        (N, C, crop_size, crop_size).

    Raises:
        ValueError: a zoom that is not positive, or that needs pixels outside the window.
    """
    check_image(windows, "windows")
    if not zoom > 0:
        fail("zoom", "a positive factor", zoom)
    if zoom == 1:
        return center_crop(windows, (crop_size, crop_size))
    # Whole pixels are cut; what is left of the factor is the resampling's.
    side = round(crop_size / zoom)
    if side > min(windows.shape[-2:]):
        expected = f"windows of at least {side} pixels for a crop of {crop_size} at zoom {zoom:g}"
        fail("windows", expected, f"shape {tuple(windows.shape)}")
    part = center_crop(windows, (max(side, 1), max(side, 1)))
    wide = part.to(torch.promote_types(part.dtype, torch.float32))
    size = (crop_size, crop_size)
    resized = F.interpolate(wide, size, mode="bicubic", align_corners=False, antialias=True)
    return resized.to(part.dtype)


def scale_sensitivity(
    embed: Model,
    windows: Tensor,
    zooms: Sequence[float] = (0.5, 0.71, 0.84, 1.19, 1.41, 2.0),
    *,
    crop_size: int,
    batch_size: int = 128,
) -> ScaleSensitivity:
    """``‖f(zoom x) − f(x)‖`` over the mean distance between different images' embeddings.

    Args:
        embed: images to embeddings (B, …), flattened.
        windows: (N, C, H, W) with N at least 2, all different, large enough for the smallest zoom.
        zooms: factors.
        crop_size: side of the model's input in pixels.
        batch_size: images at a time.

    Returns:
        A `ScaleSensitivity`, without unit.

    Raises:
        ValueError: windows too small for a zoom, fewer than two images, or embeddings that are
            equal for all images.

    Guarantees:
        0 at zoom 1, and for the mean of an image of constant patches
        (tests/unit/test_measure_scale.py).
    """
    check_image(windows, "windows")
    check_callable("embed", embed)
    check_numbers("zooms", zooms, "a sequence of positive factors")
    check_at_least("crop_size", crop_size, 1)
    if len(windows) < 2:
        fail("windows", "at least 2 (the unit is their distance)", f"shape {tuple(windows.shape)}")
    size = (crop_size, crop_size)
    base = in_batches(embed, center_crop(windows, size), batch_size).flatten(1).double()
    unit = torch.pdist(base).mean()
    if unit <= 0:
        fail("embed", "embeddings that differ between images", "equal ones for all images")
    values, errors = [], []
    for zoom in zooms:
        moved = in_batches(embed, zoomed(windows, zoom, crop_size), batch_size)
        change = (moved.flatten(1).double() - base).norm(dim=1)
        values.append(float(change.mean() / unit))
        errors.append(standard_error(change / unit))
    return ScaleSensitivity(tuple(zooms), tuple(values), tuple(errors), len(windows))
