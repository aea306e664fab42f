"""Operator norms of matrices, convolutions and decimated wavelet transforms.

Norms of matrices are singular values. A power iteration approaches a norm from below and proves
nothing.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_bool, check_choice, check_pair, fail
from wavevit.layers.band_limit import LOW_PASSES, decimate
from wavevit.measure.certify.results import NoLipschitzBound
from wavevit.wavelets import filter_bank

__all__ = ["convolution_norm", "decimation_norm", "spectral_norm", "wavelet_norm"]


def spectral_norm(weight: Tensor) -> float:
    """Largest singular value of a matrix, or the largest of a stack of them, in float64.

    Raises:
        ValueError: something else than a tensor of at least two dimensions with entries.
    """
    if not isinstance(weight, Tensor) or weight.ndim < 2 or not weight.numel():
        got = f"shape {tuple(weight.shape)}" if isinstance(weight, Tensor) else repr(weight)
        fail("weight", "a matrix, or a stack of matrices", got)
    return float(torch.linalg.matrix_norm(weight.detach().double(), ord=2).max())


def wavelet_norm(
    wavelet: str, sides: tuple[int, int], level: int = 1, way: str = "analysis"
) -> float:
    """Bound of the norm of a decimated transform with ``periodization``, for maps of this size.

    Computed axis by axis and level by level. Exact (1) for orthogonal filters on even sides. On an
    odd side the last row is repeated, so it counts twice.

    Args:
        wavelet: name of the filter.
        sides: rows and columns of the map.
        level: how often the transform is repeated.
        way: ``"analysis"``, or ``"synthesis"`` for the inverse. The inverse drops the last row of
            an odd side, which does not raise its norm.

    Raises:
        ValueError: an unknown wavelet or direction, sides that are no pair, a level below 0.
    """
    check_pair("sides", sides, "(rows, columns) of at least 1", least=1)
    check_at_least("level", level, 0)
    check_choice("way", way, ("analysis", "synthesis"))
    if not isinstance(wavelet, str):
        fail("wavelet", "the name of a wavelet", repr(wavelet))
    norm, along = 1.0, _bank_norm(wavelet, way)
    for _ in range(level):
        for side in sides:
            norm *= along * (math.sqrt(1 + side % 2) if way == "analysis" else 1.0)
        sides = (-(-sides[0] // 2), -(-sides[1] // 2))
    return norm


@functools.cache
def _bank_norm(wavelet: str, way: str) -> float:
    """Operator norm of one decimated step along one axis, on a circle of any even length.

    The squared length of what the step makes of a wave is a trigonometric polynomial in its
    frequency, of degree below the number of taps; between samples it is no larger than the
    largest sample over ``cos(π degree / samples)`` (Ehlich & Zeller 1964).
    """
    bank = filter_bank(wavelet)
    if bank.orthogonal:
        return 1.0
    pair = (bank.dec_lo, bank.dec_hi) if way == "analysis" else (bank.rec_lo, bank.rec_hi)
    taps = torch.tensor(pair, dtype=torch.float64)
    phases = taps.unflatten(1, (-1, 2)).mT  # (2 bands, 2 phases, L / 2)
    waves = torch.fft.fft(phases, n=512 * bank.length).permute(2, 0, 1)
    largest = float(torch.linalg.matrix_norm(waves, ord=2).max())
    return largest / math.sqrt(math.cos(math.pi / 512))


def convolution_norm(conv: nn.Conv2d) -> float:
    """Bound of the norm of a convolution, for any image size, with zero or circular padding.

    The smaller of two bounds, the first of which is exact for patches side by side.

    A pixel lies in at most ``Π ⌈k / s⌉`` patches, each mapped by the whole kernel as one matrix;
    and the convolution is the sum of one matrix for each place of the kernel.

    Raises:
        NoLipschitzBound: a padding that repeats pixels.
        ValueError: something else than a `nn.Conv2d`.
    """
    if not isinstance(conv, nn.Conv2d):
        fail("conv", "a torch.nn.Conv2d", type(conv).__name__)
    if conv.padding_mode not in ("zeros", "circular"):
        raise NoLipschitzBound(conv, f"repeats pixels (padding_mode={conv.padding_mode!r})")
    kernel = conv.weight.detach().double().unflatten(0, (conv.groups, -1))  # (G, D', C', k, k)
    places = torch.linalg.matrix_norm(kernel.permute(3, 4, 0, 1, 2), ord=2).amax(dim=2)
    by_place = float(places.sum())
    if tuple(conv.dilation) != (1, 1):
        return by_place
    pairs = zip(conv.kernel_size, conv.stride, strict=True)
    covering = math.prod(-(-side // step) for side, step in pairs)
    return min(by_place, math.sqrt(covering) * spectral_norm(kernel.flatten(2)))


def decimation_norm(size: tuple[int, int], step: int, low_pass: str, circular: bool) -> float:
    """Norm of `wavevit.layers.band_limit.decimate` for maps of that size: a matrix for each axis.

    Args:
        size: rows and columns of the maps.
        step: see `decimate`.
        low_pass: see there.
        circular: see there.

    Raises:
        ValueError: no pair of sides, a step below 1, or an unknown low-pass.
    """
    check_pair("size", size, "(rows, columns) of at least 1", least=1)
    check_at_least("step", step, 1)
    check_choice("low_pass", low_pass, LOW_PASSES)
    check_bool("circular", circular)
    norm = 1.0
    for side in size:
        lines = torch.eye(side, dtype=torch.float64)[:, None, :, None]
        norm *= spectral_norm(decimate(lines, step, low_pass, circular)[:, 0, :, 0])
    return norm
