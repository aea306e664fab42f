"""Harmonic inpainting: hidden pixels as smooth as the visible ones around them allow."""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.checks import check_image, check_tensor, fail

__all__ = ["harmonic_inpainting"]

_CLOSE = 1e-10  # squared residual over squared right side, at which the solver stops


def harmonic_inpainting(images: Tensor, hidden: Tensor) -> Tensor:
    """Fills hidden pixels so that each is the mean of its neighbours.

    The answer is the image that agrees with the visible pixels and has the least sum of squared
    differences between neighbours; between two visible rows it is linear interpolation. It is a
    baseline for masked image modelling: it uses nothing about pictures except that they are smooth.

    Args:
        images: (B, C, H, W); hidden values are not read.
        hidden: (B, 1, H, W) booleans; each image has a visible pixel.

    Returns:
        (B, C, H, W), computed in float64 by conjugate gradients.

    Raises:
        ValueError: images or a mask of another form, or an image without a visible pixel.

    Guarantees:
        Planes of brightness are filled exactly where the visible pixels surround the hidden ones
        (tests/unit/test_masked.py).
    """
    check_image(images, "images")
    check_tensor("hidden", hidden, "(B, 1, H, W)", 4)
    shape = (len(images), 1, *images.shape[2:])
    if hidden.dtype != torch.bool or hidden.shape != shape:
        fail("hidden", f"booleans of shape {shape}", f"{hidden.dtype} {tuple(hidden.shape)}")
    if bool(hidden.flatten(1).all(1).any()):
        fail("hidden", "a visible pixel in each image", "an image without one")
    free = hidden.to(torch.float64)
    known = torch.where(hidden, 0.0, images.double())
    right = -free * _laplacian(known)
    found, residual = torch.zeros_like(right), right
    direction, size = residual, _square(residual)
    goal = _CLOSE * size.clamp_min(torch.finfo(torch.float64).tiny)
    for _ in range(4 * sum(images.shape[-2:])):
        if bool((size <= goal).all()):
            break
        image = free * _laplacian(free * direction)
        # An image that is solved has direction 0 and stays as it is.
        step = size / (direction * image).sum((1, 2, 3), keepdim=True).clamp_min(1e-300)
        found, residual = found + step * direction, residual - step * image
        size, before = _square(residual), size
        direction = residual + size / before.clamp_min(1e-300) * direction
    return (known + free * found).to(images.dtype)


def _square(x: Tensor) -> Tensor:
    return (x * x).sum((1, 2, 3), keepdim=True)


def _laplacian(x: Tensor) -> Tensor:
    """Sum over the neighbours inside the image of the difference to them."""
    rows, columns = x.diff(dim=2), x.diff(dim=3)
    found = torch.zeros_like(x)
    found[:, :, 1:] += rows
    found[:, :, :-1] -= rows
    found[..., 1:] += columns
    found[..., :-1] -= columns
    return found
