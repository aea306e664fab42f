"""MixUp and CutMix of training batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.core.config import RunConfig
from wavevit.checks import fail

__all__ = ["cutmix", "mixer", "mixup"]


def mixer(config: RunConfig) -> Callable[[Mapping[str, Any], int], dict[str, Any]] | None:
    """What mixes the batches of a run, from the seed of a step; None for a run that mixes nothing.

    Each image is mixed with its neighbour, the first with the second, the third with the fourth,
    and so on, with one share for all pairs of a step. (torchvision's transforms mix an image with
    the one before it, and timm's with its mirror image in the batch: on several ranks, these are
    other pairs.) The labels of a mixed batch are shares of the classes.

    Raises:
        ValueError: a task without classes of images, or ranks or parts with an odd share.

    Source:
        Zhang et al. 2018 (mixup); Yun et al. 2019 (CutMix); a coin between them as in Touvron et
        al. 2021 (DeiT).
    """
    data, classes = config.data, config.model.num_classes
    if not (data.mixup or data.cutmix):
        return None
    if config.task != "classification":
        given = f"mixup={data.mixup}, cutmix={data.cutmix} for {config.task!r}"
        fail("data", "no mixing for tasks other than classification", given)
    known = ((mixup, data.mixup), (cutmix, data.cutmix))
    kinds = [(mix, alpha) for mix, alpha in known if alpha]

    def mix(batch: Mapping[str, Any], seed: int) -> dict[str, Any]:
        images, labels = batch["images"], batch["labels"]
        if len(images) % 2:
            fail("optimizer.batch_size", "pairs of images on every rank (mixing)", len(images))
        draws = np.random.default_rng(seed)
        kind, alpha = kinds[draws.integers(len(kinds))]
        mixed, share = kind(images, draws.beta(alpha, alpha), draws)
        hot = F.one_hot(labels.long(), classes).to(images.dtype)
        return {
            **batch,
            "images": mixed,
            "labels": share * hot + (1 - share) * _neighbours(hot),
        }

    return mix


def mixup(images: Tensor, share: float, draws: np.random.Generator) -> tuple[Tensor, float]:
    """Weighted sums of pairs of images (B, C, H, W), and the share of an image in its sum.

    Args:
        images: an even number.
        share: wanted.
        draws: not used.
    """
    return share * images + (1 - share) * _neighbours(images), share


def cutmix(images: Tensor, share: float, draws: np.random.Generator) -> tuple[Tensor, float]:
    """Images with a rectangle of their neighbour in it, and the share of their own pixels.

    Args:
        images: (B, C, H, W), an even number.
        share: wanted; the rectangle may reach beyond the image, and then the share is larger.
        draws: says where the rectangle is.
    """
    height, width = images.shape[-2:]
    half = 0.5 * (1 - share) ** 0.5
    sides = []
    for size in (height, width):
        middle, reach = int(draws.integers(size)), int(half * size)
        sides.append((max(middle - reach, 0), min(middle + reach, size)))
    (top, bottom), (left, right) = sides
    inside = torch.zeros(height, width, dtype=torch.bool, device=images.device)
    inside[top:bottom, left:right] = True
    own = 1 - (bottom - top) * (right - left) / (height * width)
    return torch.where(inside, _neighbours(images), images), own


def _neighbours(x: Tensor) -> Tensor:
    """Rows in the order 1, 0, 3, 2, …"""
    return x.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
