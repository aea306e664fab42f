"""Cut windows from pictures and normalise them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_at_least, check_bool, check_numbers, check_tensor, fail
from wavevit.data.picture_files import luminance
from wavevit.data.resizing import resized
from wavevit.data.scenes import CONTRAST_FLOOR

__all__ = ["WindowCutter", "by_contrast"]

_ROOM = (3, 2)  # a small picture's shorter side over that of the crop: the studies' usual margins


def by_contrast(windows: Tensor, crops: Tensor) -> Tensor:
    """Windows (N, C, W, W) with mean 0 and contrast about 1 of their crops (N, C, S, S)."""
    # All channels of a crop together: colours stay.
    mean = crops.mean(dim=(1, 2, 3), keepdim=True)
    contrast = crops.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (windows - mean) / (contrast + CONTRAST_FLOOR)


class WindowCutter:
    """Cuts windows from pictures, and normalises batches of them.

    Args:
        crop_size: side of the crop in the middle of a window, in pixels.
        margin: pixels around the crop on every side.
        random: windows at random places; otherwise in the middle, of the largest scale.
        color: three channels in place of luminance.
        short_side: pictures are resized to this shorter side first; 0 keeps their pixels.
        least_side: pictures with a smaller shorter side are enlarged to it; by default to 3/2 of
            the crop's side, whatever the margin: training and test show one scale.
        scale: smallest and largest side of a random square, as shares of the picture's shorter
            side, which is resized to the window; None cuts windows of the picture's own pixels.
        mean, std: of the normalisation, one number or one for each channel; by default each window
            gets mean 0 and contrast about 1 of the crop in its middle.

    Raises:
        ValueError: options out of range.
    """

    def __init__(
        self,
        crop_size: int,
        margin: int,
        random: bool,
        *,
        color: bool = False,
        short_side: int = 0,
        least_side: int = 0,
        scale: Sequence[float] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> None:
        self.crop_size = check_at_least("crop_size", crop_size, 1)
        self.margin = check_at_least("margin", margin, 0)
        self.random = check_bool("random", random)
        self.window = crop_size + 2 * margin
        self.color, self.in_chans = check_bool("color", color), 3 if color else 1
        self.short_side = check_at_least("short_side", short_side, 0)
        if 0 < short_side < self.window and scale is None:
            fail("short_side", f"0 or at least {self.window} (the window)", short_side)
        check_at_least("least_side", least_side, 0)
        self.least_side = max(least_side or crop_size * _ROOM[0] // _ROOM[1], self.window)
        pair = isinstance(scale, Sequence) and len(scale) == 2
        if scale is not None and not (pair and 0 < scale[0] <= scale[1] <= 1):
            fail("scale", "0 < smallest <= largest <= 1", scale)
        self.scale = None if scale is None else (float(scale[0]), float(scale[1]))
        self.statistics = _statistics(mean, std, self.in_chans)

    def channels(self, pixels: Tensor) -> Tensor:
        """A picture (1 or 3, H, W) with the channels of the windows."""
        if self.color:
            return pixels.expand(3, -1, -1)
        return luminance(pixels) if len(pixels) == 3 else pixels

    def sized(self, pixels: Tensor) -> Tensor:
        """A picture (C, H, W) with the shorter side `short_side`, if one is given.

        All windows of a picture are cut from this, and it may be kept in place of the picture.
        """
        return resized(pixels, self.short_side) if self.short_side else pixels

    def cut(self, pixels: Tensor, draw: Sequence[float]) -> Tensor:
        """A window (C, W, W) of a picture (C, H, W), or of what `sized` made of it.

        Resizing is bilinear and antialiased.

        Args:
            pixels: of the picture.
            draw: three numbers in [0, 1): size, row and column.

        Raises:
            ValueError: something else than a picture or three numbers.
        """
        check_tensor("pixels", pixels, "(C, H, W)", 3)
        check_numbers("draw", draw, "three numbers in [0, 1): size, row and column", 3)
        pixels = self.sized(pixels)
        side = self.window
        if self.scale is None:
            if not self.short_side and min(pixels.shape[-2:]) < self.least_side:
                pixels = resized(pixels, self.least_side)
        else:
            low, high = self.scale
            share = low + (high - low) * draw[0] if self.random else high
            side = max(round(share * min(pixels.shape[-2:])), 1)
        places = draw[1:] if self.random else (0.5, 0.5)
        top, left = (
            int(place * (n - side + 1)) for place, n in zip(places, pixels.shape[-2:], strict=True)
        )
        square = pixels[:, top : top + side, left : left + side]
        if side == self.window:
            return square
        shape = (self.window, self.window)
        return F.interpolate(square[None], shape, mode="bilinear", antialias=True)[0]

    def normalized(self, windows: Tensor) -> Tensor:
        """Windows (N, C, W, W) normalised."""
        side = slice(self.margin, self.margin + self.crop_size)
        return self._by(windows, windows[..., side, side])

    def normalized_crops(self, crops: Tensor) -> Tensor:
        """Crops (N, C, S, S) of normalised windows, normalised again after an augmentation."""
        return crops if self.statistics is not None else self._by(crops, crops)

    def _by(self, windows: Tensor, crops: Tensor) -> Tensor:
        if self.statistics is not None:
            mean, std = self.statistics
            return (windows - mean) / std
        return by_contrast(windows, crops)


def _statistics(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> tuple[Tensor, Tensor] | None:
    if mean is None and std is None:
        return None
    found = []
    for name, value in (("mean", mean), ("std", std)):
        if value is None:
            fail(name, "a number, as the other of mean and std is given", None)
        several = isinstance(value, Sequence) and not isinstance(value, str)
        check_numbers(name, value if several else [value], f"one or {channels} numbers")
        own = torch.tensor(value, dtype=torch.float32).reshape(-1)
        if len(own) not in (1, channels) or (name == "std" and not bool((own > 0).all())):
            kind = "positive numbers" if name == "std" else "numbers"
            fail(name, f"one or {channels} {kind}", value)
        found.append(own[:, None, None])
    return found[0], found[1]
