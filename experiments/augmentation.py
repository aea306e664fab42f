"""The crops of one training step, augmented on the device by kornia."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.config import DataConfig
from wavevit.data import Scenes

__all__ = ["TrainingCrops", "augmentation"]

# Pixels around the crop that an augmentation may show, all of the same photograph and half: at the
# smallest zoom (0.8) a window of 64 + 2 · 16 pixels leaves 76, which is the crop moved by 6 pixels.
_MARGIN = 16
_TRANSLATION = 6
_ZOOM = (0.8, 1.25)


def augmentation(data: DataConfig) -> nn.Module:
    """From windows (N, 1, S + 32, S + 32) to crops (N, 1, S, S); torch's global generator decides.

    * ``"translate"``: the crop moves by up to 6 whole pixels, every phase of a patch of 8 included.
    * ``"resize"``: zoom by 0.8 to 1.25, bilinear.
    * ``"flip"``: left and right change places in half of the crops.

    Every pixel is one of the photograph: nothing is padded.
    """
    from kornia import augmentation as kornia  # heavy, and most studies do without

    size, moved = data.crop_size, data.crop_size + 2 * _TRANSLATION
    parts: list[nn.Module] = []
    if "resize" in data.augmentation:
        parts.append(kornia.RandomAffine(degrees=0.0, scale=_ZOOM, p=1.0))
    if "translate" in data.augmentation:
        parts += [kornia.CenterCrop(moved), kornia.RandomCrop((size, size), p=1.0)]
    else:
        parts.append(kornia.CenterCrop(size))
    if "flip" in data.augmentation:
        parts.append(kornia.RandomHorizontalFlip(p=0.5))
    return nn.Sequential(*parts)


class TrainingCrops:
    """Draws normalised training crops; what is drawn follows from the seed alone.

    Without augmentation and from anywhere these are `Scenes.sample`. Otherwise a window with a
    margin is drawn, augmented on the device and normalised by what is left, as a test crop is: no
    change of brightness or contrast comes along.
    """

    def __init__(self, data: DataConfig, device: torch.device) -> None:
        self.data, self.device = data, device
        self.scenes = Scenes(data.trained_on, data.crop_size, max_short_side=data.max_short_side)
        self.windows = self.augment = None
        if data.places or data.augmentation:
            self.windows = Scenes(
                data.trained_on,
                data.crop_size,
                _MARGIN,
                max_short_side=data.max_short_side,
                places=data.places,
            )
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
