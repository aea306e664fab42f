"""Resample images by a fixed ratio, so that shifts by a whole patch stay exact.

Wavelet tokenizers have strides of powers of two. To use one at a patch of 14 pixels, the image is
resampled so that 14 pixels become 16. The ratio is 8/7: the same 8 filters repeat every 7 pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.checks import check_choice
from wavevit.layers.padding import PADDINGS
from wavevit.wavelets._engine.tensor_cache import remember

__all__ = ["next_power_of_two", "resample_axis", "resample_patches"]

_LOBES = 3  # of the Lanczos window on each side


def next_power_of_two(side: int) -> int:
    """The smallest power of two, from 2 on, that is not below `side`."""
    return max(2, 1 << (side - 1).bit_length())


def resample_patches(
    x: Tensor, patch: tuple[int, int], target: tuple[int, int], padding: str = "zeros"
) -> Tensor:
    """Resamples images so that patches of one size become patches of another.

    Args:
        x: images (B, C, H, W), sides divisible by `patch`.
        patch: rows and columns of a patch.
        target: rows and columns that it has in the result.
        padding: ``"circular"``, or ``"zeros"``, for which the image repeats its border pixels.

    Returns:
        (B, C, H * target / patch, W * target / patch); the image itself where both are equal.

    Guarantees:
        A circular shift by whole patches becomes the circular shift by whole patches, with
        ``padding="circular"``; constants keep their value; the mirrored image becomes the
        mirrored result (tests/properties/test_graft_laws.py). *Not* guaranteed: other shifts,
        because a filter repeats only after ``patch / gcd(patch, target)`` pixels.

    Source:
        Lanczos filters of three lobes (Duchon 1979), each normalised to the sum 1. Where the
        target is smaller, they are wider by the same ratio, against aliasing.
    """
    check_choice("padding", padding, PADDINGS)
    for axis, source, side in zip((-2, -1), patch, target, strict=True):
        x = resample_axis(x, axis, source, side, circular=padding == "circular")
    return x


def resample_axis(x: Tensor, axis: int, source: int, target: int, circular: bool) -> Tensor:
    """Resamples one axis, -2 or -1, so that `source` pixels become `target` pixels."""
    if source == target:
        return x
    divisor = math.gcd(source, target)
    period, filters = source // divisor, target // divisor
    reach = _reach(period, filters)
    side = x.shape[axis]
    places = torch.arange(-reach, side + reach, device=x.device)
    places = places % side if circular else places.clamp(0, side - 1)
    kernel = _kernel(period, filters, x.dtype, x.device)
    batch, channels = x.shape[:2]
    # One filter for each of the places that repeat every `period` pixels: channels of a
    # convolution with that stride, which then are put side by side.
    lines = x.index_select(axis, places).flatten(0, 1)[:, None]
    if axis == -2:
        found = F.conv2d(lines, kernel[:, None, :, None], stride=(period, 1))
        found = found.transpose(1, 2).flatten(1, 2)
    else:
        found = F.conv2d(lines, kernel[:, None, None, :], stride=(1, period))
        found = found.permute(0, 2, 3, 1).flatten(2, 3)
    return found.unflatten(0, (batch, channels))


def _reach(period: int, filters: int) -> int:
    """Pixels before and after a period that its filters read."""
    return math.ceil(_LOBES * max(1.0, period / filters))


def _kernel(period: int, filters: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights (filters, period + 2 * reach)."""

    def build() -> Tensor:
        return torch.tensor(_weights(period, filters), dtype=dtype, device=device)

    if torch.compiler.is_compiling():  # a constant of the graph; a cache would leak tracers
        return build()
    return remember(("resample", period, filters, dtype, device), build)


def _weights(period: int, filters: int) -> list[list[float]]:
    width = max(1.0, period / filters)
    reach = _reach(period, filters)
    rows = []
    for index in range(filters):
        centre = (index + 0.5) * period / filters - 0.5
        row = [_lanczos((place - centre) / width) for place in range(-reach, period + reach)]
        total = math.fsum(row)
        rows.append([weight / total for weight in row])
    return rows


def _lanczos(t: float) -> float:
    if abs(t) >= _LOBES:
        return 0.0
    if t == 0:
        return 1.0
    angle = math.pi * t
    return _LOBES * math.sin(angle) * math.sin(angle / _LOBES) / angle**2
