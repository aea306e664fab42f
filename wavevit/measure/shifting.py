"""Three kinds of shift. Every figure about shifts states its kind.

* ``circular``: `torch.roll`; what leaves on one side enters on the other.
* ``crop``: two windows of one larger image, as from a moving camera.
* ``subpixel``: circular shift by fractions of a pixel, by the Fourier shift theorem.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.alignment.shifts import fourier_shift
from wavevit.checks import (
    check_at_least,
    check_choice,
    check_image,
    check_numbers,
    check_pair,
    check_tensor,
    fail,
)

__all__ = ["SHIFT_MODELS", "center_crop", "fourier_shift", "input_sides", "shifted"]

SHIFT_MODELS = ("circular", "crop", "subpixel")


def center_crop(windows: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of images.

    Half a pixel above or left of it where the sides differ by an odd number.

    Args:
        windows: (B, C, H, W).
        size: height and width of the middle, in pixels.

    Raises:
        ValueError: windows of another rank, or smaller than their middle.
    """
    check_tensor("windows", windows, "(B, C, H, W)", 4)
    check_pair("size", size, "(height, width) of at least 1 pixel", least=1)
    return _crop(windows, size, (0, 0))


def input_sides(images: Tensor, crop_size: int | None, kind: str) -> tuple[int, int]:
    """Height and width of the model's input for a kind of shift.

    Args:
        images: (B, C, H, W); for ``"crop"`` windows larger than the crop.
        crop_size: side of the crop in pixels, for ``"crop"``.
        kind: one of `SHIFT_MODELS`.

    Raises:
        ValueError: no images, or ``"crop"`` without its size.
    """
    check_image(images, "images")
    if not len(images):
        fail("images", "at least one image", f"shape {tuple(images.shape)}")
    if kind != "crop":
        return images.shape[-2], images.shape[-1]
    if crop_size is None:
        fail("crop_size", "the side of the model's input for kind='crop'", None)
    check_at_least("crop_size", crop_size, 1)
    return crop_size, crop_size


def _crop(windows: Tensor, size: tuple[int, int], offset: tuple[int, int]) -> Tensor:
    starts = []
    for side, wanted, moved in zip(windows.shape[-2:], size, offset, strict=True):
        start = (side - wanted) // 2 + moved
        if start < 0 or start + wanted > side:
            expected = f"windows that hold a crop of {wanted} pixels moved by {moved}"
            fail("images", expected, f"a side of {side}")
        starts.append(start)
    rows, columns = starts
    return windows[..., rows : rows + size[0], columns : columns + size[1]]


def shifted(
    images: Tensor,
    shift: tuple[float, float],
    kind: str,
    crop_size: tuple[int, int] | None = None,
) -> Tensor:
    """Shifts the content of images down and right by `shift` pixels.

    Args:
        images: (B, C, H, W); for ``"crop"`` windows larger than the crop.
        shift: rows and columns. Fractions are allowed for ``"subpixel"`` and ``"crop"``; for
            ``"crop"`` the larger window is shifted by the fraction and then cropped.
        kind: one of `SHIFT_MODELS`.
        crop_size: (H, W) of the crop, for ``"crop"`` only.

    Returns:
        (B, C, H, W), or crops of `crop_size`.

    Raises:
        ValueError: a fraction for ``"circular"``, a crop without its size, or one that leaves
            the window.
    """
    check_image(images, "images")
    check_choice("kind", kind, SHIFT_MODELS)
    check_numbers("shift", shift, "(rows, columns) in pixels", 2)
    if kind == "subpixel":
        return fourier_shift(images, shift)
    whole = (round(shift[0]), round(shift[1]))
    rest = (shift[0] - whole[0], shift[1] - whole[1])
    if kind == "circular":
        if rest != (0, 0):
            fail("shift", "whole pixels for kind='circular' (or kind='subpixel')", shift)
        return torch.roll(images, whole, dims=(-2, -1))
    if crop_size is None:
        fail("crop_size", "(height, width) for kind='crop'", None)
    check_pair("crop_size", crop_size, "(height, width) of at least 1 pixel", least=1)
    if rest != (0, 0):
        images = fourier_shift(images, rest)
    # The content moves down when the window moves up.
    return _crop(images, crop_size, (-whole[0], -whole[1]))
