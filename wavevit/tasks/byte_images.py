"""Images of bytes: batches of tasks whose likelihood is exact."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail
from wavevit.tasks.draws import seeded

__all__ = ["check_bytes", "random_bytes"]


def check_bytes(images: Any, channels: int, multiple: int, name: str = "batch['images']") -> None:
    """Checks that images are uint8 and fit a grid.

    Args:
        images: what a batch has under ``"images"``.
        channels: that they must have.
        multiple: that must divide both sides.
        name: of the images in messages.

    Raises:
        ValueError: no uint8 tensor, another shape, no image, or sides that do not fit.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        fail(name, "uint8 values from 0 to 255 (a likelihood of bytes)", kind)
    if images.ndim != 4 or images.shape[1] != channels:
        fail(name, f"shape (B, {channels}, H, W)", tuple(images.shape))
    if not len(images):
        fail(name, "at least one image", f"shape {tuple(images.shape)}")
    if any(side == 0 or side % multiple for side in images.shape[2:]):
        fail(name, f"sides that are multiples of {multiple}", tuple(images.shape))


def random_bytes(
    count: int, channels: int, size: tuple[int, int], generator: torch.Generator | None
) -> Tensor:
    """Random images (count, channels, H, W) of bytes with neighbours that are alike.

    Args:
        count: number of images.
        channels: of them.
        size: (H, W).
        generator: None for seed 0.
    """
    check_at_least("count", count, 1)
    generator = seeded(generator)
    shape = (count, channels, *size)
    levels = torch.randint(32, 224, (count, channels, 1, 1), generator=generator)
    steps = torch.randint(-32, 32, shape, generator=generator)
    return (levels + steps).to(torch.uint8)
