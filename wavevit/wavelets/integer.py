"""Integer Haar transform: integers to integers, an exact bijection (the S-transform).

A pair ``(a, b)`` becomes its mean, rounded down, and its difference: ``s = ⌊(a + b) / 2⌋``,
``d = a − b``. The bit that rounding drops is the parity of `d`, so nothing is lost. It is Haar by
lifting, with one rounded step; lossless codecs and exact likelihoods of images use it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavevit.checks import check_at_least, fail
from wavevit.wavelets._engine.coefficients import check_pyramid, crop
from wavevit.wavelets.pyramid import Pyramid

__all__ = ["integer_haar2", "integer_haar2_bounds", "inverse_integer_haar2"]

# torch promotes no unsigned dtype but uint8; of uint64 no signed dtype holds all values.
_SIGNED = {torch.uint16: torch.int32, torch.uint32: torch.int64}


def integer_haar2(images: Tensor, level: int = 1) -> Pyramid:
    """Multi-level integer Haar transform of integer images.

    Args:
        images: (B, C, H, W) of an integer dtype. An odd side is extended by its last row or
            column; the details there are 0.
        level: number of levels, at least 1.

    Returns:
        A `Pyramid` of integers (int32, of int64 and uint32 images int64). The approximation of
        values from 0 to 255 is from 0 to 255; the bands ``cH`` and ``cV`` from −255 to 255, ``cD``
        from −510 to 510. ``cH`` and ``cV`` are `wavedec2`'s of that level's image to within
        rounding, ``cD`` is twice it.

    Raises:
        ValueError: no integers, uint64, another rank, or a level below 1.

    Guarantees:
        `inverse_integer_haar2` returns the images exactly, for all pairs of bytes, all sizes and
        levels, and for the smallest and largest numbers of every dtype
        (tests/properties/test_integer_haar_laws.py). *Not* guaranteed: that a difference fits, of
        int32 or int64 images that use more than half of the dtype's range. It then wraps around,
        and the inverse wraps it back.

    Source:
        Said & Pearlman 1996 (S-transform); Calderbank et al. 1998, section 2.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[[7, 4], [200, 9]]]], dtype=torch.uint8)
        >>> pyramid = integer_haar2(image)
        >>> pyramid.approx.item(), pyramid.details[0].flatten().tolist()
        (54, [-99, 97, -188])
        >>> torch.equal(inverse_integer_haar2(pyramid), image.int())
        True
    """
    _check("images", images, 4)
    check_at_least("level", level, 1)
    approx, details = _wide(images), []
    for _ in range(level):
        approx = _even(_even(approx, 3), 2)
        mean, difference = _split(approx, 3)
        approx, horizontal = _split(mean, 2)
        vertical, diagonal = _split(difference, 2)
        details.append(torch.stack([horizontal, vertical, diagonal], dim=2))
    return Pyramid(approx, tuple(reversed(details)))


def inverse_integer_haar2(pyramid: Pyramid, output_size: tuple[int, int] | None = None) -> Tensor:
    """The images whose `integer_haar2` this is.

    Args:
        pyramid: integers, as `integer_haar2` gives them; any integers have an inverse.
        output_size: (H, W) of images with odd sides; None for twice the last details' size.

    Returns:
        (B, C, H, W), int32 or int64.

    Raises:
        ValueError: no integers, bands whose sizes do not fit, or an `output_size` that does not.
    """
    coarsest, details = check_pyramid(pyramid)
    _check("pyramid.approx", coarsest, 4)
    if not details:
        fail("pyramid.details", "at least one level", "none")
    approx = _wide(coarsest)
    for index, bands in enumerate(details):
        name = f"pyramid.details[{index}]"
        _check(name, bands, 5)
        height, width = bands.shape[-2:]
        if not all(
            0 <= have - side <= 1
            for have, side in zip(approx.shape[-2:], (height, width), strict=True)
        ):
            expected = f"sides of the approximation {tuple(approx.shape[-2:])}, or one less"
            fail(name, expected, tuple(bands.shape))
        # The level below was odd there: its last row or column was a copy.
        approx = approx[..., :height, :width]
        if bands.shape[:3] != (*approx.shape[:2], 3):
            fail(name, f"shape {(*approx.shape[:2], 3, height, width)}", tuple(bands.shape))
        horizontal, vertical, diagonal = _wide(bands).unbind(2)
        mean, difference = _merge(approx, horizontal, 2), _merge(vertical, diagonal, 2)
        approx = _merge(mean, difference, 3)
    return crop(approx, output_size)


def integer_haar2_bounds(
    approx: Tensor, bands: Tensor, low: int = 0, high: int = 255
) -> tuple[Tensor, Tensor]:
    """Smallest and largest details of one level that give an image in a range.

    The bounds of ``cH`` follow from the approximation, those of ``cV`` from ``cH`` too, those of
    ``cD`` from both: a model that draws details in this order and within these bounds draws valid
    images only, and all of them.

    Args:
        approx: (B, C, h, w) integers from `low` to `high`.
        bands: (B, C, 3, h, w) details; ``cD`` is not read.
        low: smallest value of the image.
        high: largest value of the image.

    Returns:
        Two tensors (B, C, 3, h, w).

    Raises:
        ValueError: no integers, or bands whose sizes do not fit.

    Guarantees:
        Details within the bounds and blocks of values in the range are one to one
        (tests/properties/test_integer_haar_laws.py).
    """
    _check("approx", approx, 4)
    _check("bands", bands, 5)
    shape = (*approx.shape[:2], 3, *approx.shape[2:])
    if bands.shape != shape:
        fail("bands", f"shape {shape}, as the approximation", tuple(bands.shape))
    for name, value in (("low", low), ("high", high)):
        if not isinstance(value, int) or isinstance(value, bool):
            fail(name, "an integer", repr(value))
    approx, (horizontal, vertical, _) = _wide(approx), _wide(bands).unbind(2)
    whole = approx.new_full((), low), approx.new_full((), high)
    bounds = [_difference_bounds(approx, whole, whole)]
    top = approx + ((horizontal + 1) >> 1)
    across = [_difference_bounds(mean, whole, whole) for mean in (top, top - horizontal)]
    (top_low, top_high), (bottom_low, bottom_high) = across
    bounds.append(((top_low + bottom_low) >> 1, (top_high + bottom_high) >> 1))
    bounds.append(_difference_bounds(vertical, *across))
    lows, highs = zip(*bounds, strict=True)
    return torch.stack(lows, dim=2), torch.stack(highs, dim=2)


def _difference_bounds(
    mean: Tensor, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Bounds of the difference of a pair with this mean, from the bounds of its two values."""
    low = torch.maximum(2 * (first[0] - mean) - 1, 2 * (mean - second[1]))
    high = torch.minimum(2 * (first[1] - mean), 2 * (mean - second[0]) + 1)
    return low, high


def _check(name: str, x: Tensor, rank: int) -> None:
    if not isinstance(x, Tensor) or x.ndim != rank or 0 in x.shape[-2:]:
        kind = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        fail(name, f"a tensor of {rank} dimensions without an empty side", kind)
    if x.is_floating_point() or x.is_complex() or x.dtype in (torch.bool, torch.uint64):
        fail(name, "an integer dtype other than uint64", x.dtype)


def _wide(x: Tensor) -> Tensor:
    return x.to(_SIGNED.get(x.dtype) or torch.promote_types(x.dtype, torch.int32))


def _even(x: Tensor, dim: int) -> Tensor:
    """The last row or column repeated where their number is odd."""
    if x.shape[dim] % 2 == 0:
        return x
    return torch.cat([x, x.narrow(dim, x.shape[dim] - 1, 1)], dim)


def _split(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    first, second = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    difference = first - second
    # Equal to (a + b) >> 1, which would lose the top bit of a sum that the dtype cannot hold.
    return second + (difference >> 1), difference


def _merge(mean: Tensor, difference: Tensor, dim: int) -> Tensor:
    second = mean - (difference >> 1)
    return torch.stack([second + difference, second], dim + 1).flatten(dim, dim + 1)
