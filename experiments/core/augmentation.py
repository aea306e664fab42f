"""Training crops, augmented on the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.config import COLOUR_AUGMENTATIONS, DataConfig
from experiments.core.sources import scenes_of
from wavevit.checks import check_at_least, check_image, fail

# Pixels around the crop that an augmentation may show, all of the same photograph and half: at the
# smallest zoom (0.8) a window of 64 + 2 · 16 pixels leaves 76, which is the crop moved by 6 pixels.
AUGMENTATION_MARGIN = 16
_TRANSLATION = 6
_ZOOM = (0.8, 1.25)
_JITTER = 0.3
# Of the low-pass, in pixels of the coarser grid: as far as the margin allows at the smallest zoom.
_REACH = 5


class RandomZoom(nn.Module):
    """Zooms the middle of each window by a random factor, without aliasing.

    Below 1 the crop has fewer pixels than what it shows: frequencies that it cannot hold are
    removed first, by a Lanczos filter that is as wide as the zoom asks for. (kornia's
    ``RandomAffine`` and ``RandomResizedCrop`` take bilinear samples and remove nothing.)

    Args:
        size: side of the crops in pixels.
        zoom: smallest and largest factor; drawn uniformly by torch's global generator.

    Raises:
        ValueError: a size below 1, factors that are not positive or not in order; windows that are
            no square floating batch (N, C, W, W), or smaller than a crop at the smallest zoom.

    Guarantees:
        A constant stays what it is; at the smallest zoom a checkerboard of single pixels keeps
        less than 0.01 of its spread (tests/experiments/test_augmentation.py).
    """

    def __init__(self, size: int, zoom: tuple[float, float]) -> None:
        super().__init__()
        self.size = check_at_least("size", size, 1)
        if not 0 < zoom[0] <= zoom[1]:
            fail("zoom", "positive factors, the smallest first", zoom)
        self.zoom = zoom

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (N, C, W, W) to crops (N, C, size, size)."""
        check_image(windows, "windows")
        least = math.ceil(self.size / self.zoom[0])
        if windows.shape[-2] != windows.shape[-1] or windows.shape[-1] < least:
            expected = f"squares of at least {least} pixels a side"
            fail("windows", expected, f"shape {tuple(windows.shape)}")
        factors = torch.empty(len(windows)).uniform_(*self.zoom)  # on the CPU: equal on a GPU
        side = windows.shape[-1]
        columns = torch.arange(self.size) - (self.size - 1) / 2
        places = (side - 1) / 2 + columns / factors[:, None]
        distance = (torch.arange(side) - places[..., None]) * factors.clamp(max=1)[:, None, None]
        weights = torch.sinc(distance) * torch.sinc(distance / _REACH)
        weights = torch.where(distance.abs() < _REACH, weights, 0)
        # Near the window's border a part of the filter is missing: what there is makes 1.
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(windows)[:, None]
        return weights @ windows @ weights.mT


class RandomColours(nn.Module):
    """3-Augment and colour jitter of normalised crops.

    Args:
        names: some of ``"three"``: each crop becomes grey, or its colours above a half are
            inverted, or it is blurred (Gaussian, 0.1 to 2 pixels); and ``"jitter"``: brightness,
            contrast and saturation change by up to 30 %.
        mean, std: of the normalisation, three numbers each or one for all channels.

    Raises:
        ValueError: crops without three channels.

    Guarantees:
        Pixels stay in [0, 1] before the normalisation; each crop has an effect of its own
        (tests/experiments/test_augmentation.py).

    Source:
        Touvron et al. 2022 (DeiT III), section 3.
    """

    def __init__(self, names: Sequence[str], mean: Any, std: Any) -> None:
        super().__init__()
        from kornia import augmentation as kornia

        self.mean, self.std = (
            torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1) for value in (mean, std)
        )
        self.three = nn.ModuleList()
        if "three" in names:
            nothing = {"thresholds": 0.0, "additions": 0.0}  # beside a half and 0
            self.three += [
                kornia.RandomGrayscale(p=1.0),
                kornia.RandomSolarize(p=1.0, **nothing),
                kornia.RandomGaussianBlur((9, 9), (0.1, 2.0), p=1.0),
            ]
        jitter = kornia.ColorJitter(_JITTER, _JITTER, _JITTER, p=1.0)
        self.jitter = jitter if "jitter" in names else nn.Identity()

    def forward(self, crops: Tensor) -> Tensor:
        """Normalised crops (N, 3, H, W) to the same."""
        check_image(crops, "crops", channels=3)
        mean, std = self.mean.to(crops), self.std.to(crops)
        pixels = (crops * std + mean).clamp(0, 1)
        if self.three:
            chosen = torch.randint(len(self.three), (len(crops),))  # on the CPU: equal on a GPU
            changed = torch.stack([change(pixels) for change in self.three])
            pixels = changed[chosen.to(crops.device), torch.arange(len(crops), device=crops.device)]
        return (self.jitter(pixels).clamp(0, 1) - mean) / std


def augmentation(data: DataConfig) -> nn.Module:
    """From windows (N, C, S + 32, S + 32) to crops (N, C, S, S); torch's global generator decides.

    * ``"translate"``: the crop moves by up to 6 whole pixels, every phase of a patch of 8 included.
    * ``"resize"``: `RandomZoom` by 0.8 to 1.25.
    * ``"flip"``: left and right change places in half of the crops.
    * ``"three"`` and ``"jitter"``: `RandomColours`.

    Every pixel is one of the photograph: nothing is padded.

    Raises:
        ValueError: changes of colours for a source without fixed `mean` and `std`, whose crops
            cannot be brought back to [0, 1].
    """
    from kornia import augmentation as kornia  # heavy, and most studies do without

    size, moved = data.crop_size, data.crop_size + 2 * _TRANSLATION
    parts: list[nn.Module] = []
    translate = "translate" in data.augmentation
    if "resize" in data.augmentation:
        parts.append(RandomZoom(moved if translate else size, _ZOOM))
    if translate:
        parts += [kornia.CenterCrop(moved), kornia.RandomCrop((size, size), p=1.0)]
    else:
        parts.append(kornia.CenterCrop(size))
    if "flip" in data.augmentation:
        parts.append(kornia.RandomHorizontalFlip(p=0.5))
    colours = [name for name in COLOUR_AUGMENTATIONS if name in data.augmentation]
    if colours:
        options = dict(data.source_options)
        if options.get("mean") is None or options.get("std") is None:
            expected = "none of colours, or mean and std among the source_options"
            fail("augmentation", expected, f"{', '.join(map(repr, colours))} without them")
        parts.append(RandomColours(colours, options["mean"], options["std"]))
    return nn.Sequential(*parts)


class TrainingCrops:
    """Draws normalised training crops; what is drawn follows from the seed alone.

    Without augmentation and from anywhere these are `Scenes.sample`. Otherwise a window with a
    margin is drawn, augmented on the device and normalised by what is left, as a test crop is: no
    change of brightness or contrast comes along.
    """

    def __init__(self, data: DataConfig, device: torch.device) -> None:
        self.data, self.device = data, device
        self.scenes = scenes_of(data, data.trained_on)
        self.windows = self.augment = None
        if data.places or data.augmentation:
            margin, places = AUGMENTATION_MARGIN, data.places
            self.windows = scenes_of(data, data.trained_on, margin, places=places)
        if data.augmentation:
            self.augment = augmentation(data)

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Images (count, 1, S, S) and labels on the device; sets torch's global seed."""
        torch.manual_seed(seed)  # for the augmentation, and for whatever in the model draws
        generator = torch.Generator().manual_seed(seed)
        if self.windows is None:
            batch = self.scenes.sample(count, generator)
            return batch.images.to(self.device), batch.labels.to(self.device)
        batch = self.windows.draw(count, generator)
        windows = batch.images.to(self.device)
        crops = self.windows.center(windows) if self.augment is None else self.augment(windows)
        return self.scenes.normalized(crops), batch.labels.to(self.device)
