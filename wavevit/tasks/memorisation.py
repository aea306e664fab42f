"""Nearest training image: tells whether a generator repeats what it was trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.checks import check_tensor, fail

__all__ = ["nearest_distances"]


def nearest_distances(images: Tensor, references: Tensor) -> Tensor:
    """Root mean square distance of each image to the nearest reference.

    To judge samples, compare their distances to the training images with those of held-out images
    to the training images: samples that are much nearer are copies.

    Args:
        images: (N, C, H, W), for example samples.
        references: (M, C, H, W), for example training images, M ≥ 1.

    Returns:
        (N,) float64, in the images' units.

    Raises:
        ValueError: images of different shapes, or no reference.
    """
    for name, value in (("images", images), ("references", references)):
        check_tensor(name, value, "(N, C, H, W)", 4)
    if not len(references) or images.shape[1:] != references.shape[1:]:
        expected = f"at least one image of shape {tuple(images.shape[1:])}"
        fail("references", expected, f"shape {tuple(references.shape)}")
    first, second = (x.flatten(1).double() for x in (images, references))
    # Differences, not a matrix product: a copy has distance 0 exactly.
    rows = [(second - row).square().mean(1).min() for row in first]
    return torch.stack(rows).sqrt() if rows else first.new_zeros(0)
