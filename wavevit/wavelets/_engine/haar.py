"""The orthonormal Haar transforms: one level, several levels at once, undecimated.

For a 2 x 2 block ``[[a, b], [c, d]]`` the four coefficients, in PyWavelets' order, are

    cA = (a + b + c + d) / 2      cH = (a + b - c - d) / 2
    cV = (a - b + c - d) / 2      cD = (a - b - c + d) / 2

The matrix of that map is symmetric and orthogonal, so it is its own inverse: analysis and
synthesis are one butterfly between different memory layouts. These functions plan the passes;
`_engine.haar_maps` runs them with the fastest kernel available. Every result is new memory
or a view of it, never of the input; values and derivatives do not depend on the kernel
(tests/properties/test_haar_fast.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._engine import haar_channels_last
from wavevit.wavelets._engine.haar_maps import HaarMap, most_fused
from wavevit.wavelets._engine.haar_plain import butterfly
from wavevit.wavelets._engine.kernel_choice import has_kernel

__all__ = [
    "haar_analysis",
    "haar_details_undecimated",
    "haar_packet_analysis",
    "haar_packet_synthesis",
    "haar_pyramid_analysis",
    "haar_pyramid_synthesis",
    "haar_synthesis",
    "haar_undecimated",
    "haar_undecimated_inverse",
]


def haar_analysis(x: Tensor) -> Tensor:
    """One level of the decimated Haar transform, (B, C, H, W) to (B, C, 4, ⌈H/2⌉, ⌈W/2⌉).

    An odd side repeats its last row or column, as PyWavelets does under `periodization`. What is
    channels-last in memory stays so.
    """
    if haar_channels_last.is_channels_last(x):
        return haar_channels_last.analysis(x)
    (coefficients,) = HaarMap(False, False, 1, (x.shape[-2], x.shape[-1])).apply(x)
    return coefficients


def haar_synthesis(coefficients: Tensor) -> Tensor:
    """Inverse of `haar_analysis`, (B, C, 4, h, w) to (B, C, 2h, 2w), in the same layout."""
    if haar_channels_last.is_channels_last(coefficients):
        return haar_channels_last.synthesis(coefficients)
    size = (2 * coefficients.shape[-2], 2 * coefficients.shape[-1])
    (x,) = HaarMap(False, True, 1, size).apply(coefficients)
    return x


def haar_pyramid_analysis(x: Tensor, level: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`haar_analysis` repeated on the approximation, in as few passes as the sides allow.

    Args:
        x: images (B, C, H, W).
        level: number of levels, 0 or more; the caller has checked that there are so many.

    Returns:
        The approximation (B, C, h, w) and the details, coarse to fine, each (B, C, 3, h_l, w_l).
    """
    details: list[Tensor] = []
    while level > 0:
        size = (x.shape[-2], x.shape[-1])
        # On the CPU a map of any sides and levels; elsewhere as much as one pass can do.
        fused = level if has_kernel(x) and x.device.type == "cpu" else _fusible(x, level)
        if fused:
            x, *finer = HaarMap(True, False, fused, size).apply(x)
        else:
            bands = haar_analysis(x)
            x, finer = bands[:, :, 0], [bands[:, :, 1:]]
        details += finer
        level -= max(fused, 1)
    return x, tuple(reversed(details))


def haar_pyramid_synthesis(approx: Tensor, details: Sequence[Tensor]) -> Tensor:
    """Inverse of `haar_pyramid_analysis`.

    Args:
        approx: (B, C, h, w).
        details: coarse to fine, each (B, C, 3, h_l, w_l). What was reconstructed of the coarser
            levels is cropped to the size of the next details, as an odd side asks for.

    Returns:
        Images (B, C, 2h, 2w) for the ``h, w`` of the finest details.
    """
    x, left = approx, list(details)
    while left:
        height, width = left[0].shape[-2:]
        x = x[..., :height, :width]
        fused = 1
        while fused < min(len(left), most_fused(x)) and left[fused].shape[-2:] == (
            height << fused,
            width << fused,
        ):
            fused += 1
        size = (height * 2**fused, width * 2**fused)
        (x,) = HaarMap(True, True, fused, size).apply(x, *reversed(left[:fused]))
        left = left[fused:]
    return x


def haar_packet_analysis(x: Tensor, level: int) -> Tensor:
    """Every band split again at every level, (B, C, H, W) to (B, C, 4**level, h, w)."""
    channels, bands, left = x.shape[1], x, level
    while left > 0:
        size = (bands.shape[-2], bands.shape[-1])
        fused = max(_fusible(bands, left), 1)
        (packets,) = HaarMap(False, False, fused, size).apply(bands)
        bands = packets.flatten(1, 2)
        left -= fused
    return bands.unflatten(1, (channels, 4**level))


def haar_packet_synthesis(packets: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Inverse of `haar_packet_analysis`.

    Args:
        packets: (B, C, 4**level, h, w).
        size: (H, W) of the images, which `level` halvings, rounded up, take to (h, w); by
            default h and w times ``2**level``.

    Returns:
        Images (B, C, H, W).
    """
    level = (packets.shape[2].bit_length() - 1) // 2
    height, width = size or (packets.shape[-2] << level, packets.shape[-1] << level)
    x = packets.flatten(1, 2)
    while level > 0:
        coarse = (x.shape[-2], x.shape[-1])
        fused = 1
        # Levels fuse as long as the larger image is exactly twice the smaller one.
        while fused < min(level, most_fused(x)) and _rounded_up((height, width), level - fused) == (
            coarse[0] << fused,
            coarse[1] << fused,
        ):
            fused += 1
        whole = (coarse[0] << fused, coarse[1] << fused)
        (x,) = HaarMap(False, True, fused, whole).apply(x.unflatten(1, (-1, 4**fused)))
        level -= fused
        rows, columns = _rounded_up((height, width), level)
        x = x[..., :rows, :columns]
    return x


def _rounded_up(size: tuple[int, int], halvings: int) -> tuple[int, int]:
    return -(-size[0] >> halvings), -(-size[1] >> halvings)


def _fusible(x: Tensor, level: int) -> int:
    """How many of `level` levels one pass of a kernel can do; 0 where there is no kernel.

    Without one, nothing is asked about the sides: an exported graph must not depend on them.
    """
    if not has_kernel(x):
        return 0
    height, width = x.shape[-2:]
    count, most = 0, min(level, most_fused(x))
    while count < most and not (height % (2 << count) or width % (2 << count)):
        count += 1
    return count


def haar_undecimated(x: Tensor, level: int) -> Tensor:
    """Four coefficients at every pixel of a circle, (B, C, H, W) to (B, C, level, 4, H, W).

    Each is the orthonormal one of the block whose other rows and columns are one pixel away at the
    first level, the last one in the result, and twice as far at each further level. No sample is
    dropped, so the map commutes with every circular shift.
    """
    size = (x.shape[-2], x.shape[-1])
    (coefficients,) = HaarMap(False, False, level, size, spacing=1).apply(x)
    return coefficients[:, :, None] if level == 1 else coefficients


def haar_undecimated_inverse(coefficients: Tensor, spacing: int) -> Tensor:
    """Inverse of `haar_undecimated`: the mean of the four inverses that decimation would have."""
    size = (coefficients.shape[-2], coefficients.shape[-1])
    (x,) = HaarMap(False, True, 1, size, spacing).apply(coefficients)
    return x / 4


def haar_details_undecimated(x: Tensor) -> Tensor:
    """The three details at every pixel, circular borders, (B, C, H, W) to (B, C, 3, H, W).

    Each coefficient is the orthonormal one of the 2 x 2 block that starts at its pixel. No
    sample is dropped, so the map commutes with every circular shift.
    """
    wrapped = F.pad(x, (0, 1, 0, 1), mode="circular")
    a, b = wrapped[..., :-1, :-1], wrapped[..., :-1, 1:]
    c, d = wrapped[..., 1:, :-1], wrapped[..., 1:, 1:]
    return torch.stack(butterfly(a, b, c, d)[1:], dim=2)
