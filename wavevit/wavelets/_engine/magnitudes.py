"""Magnitudes of coefficients, by a kernel where one runs: with a gradient, and with a low-pass.

`smooth_magnitude` has a backward pass of its own, which keeps the coefficients and nothing else:
autograd would keep their squares' operands and the root beside them. `LowPassed` is what wavelet
tokenizers make of coefficients that nobody derives, written where their projection reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavevit.wavelets._engine.eager import is_memory, is_only_differentiated_backward
from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.pieces import by_planes
from wavevit.wavelets._engine.torch_private import is_derived
from wavevit.wavelets._kernels.banded import Banded
from wavevit.wavelets._kernels.cpu_memory import room

__all__ = [
    "BandWriter",
    "Banded",
    "low_passed",
    "mean_of_pairs",
    "smooth_magnitude",
    "writes_bands",
]

_KERNEL = "wavevit.wavelets._kernels.magnitudes_cpu"
_KINDS = {"linear": 0, "modulus": 1, "smooth": 2}


def _plain(details: Tensor, bias: float) -> Tensor:
    real, imaginary = details.unbind(3)
    return (real.square() + imaginary.square() + bias**2).sqrt() - bias


def smooth_magnitude(details: Tensor, bias: float) -> Tensor:
    """``√(re² + im² + bias²) - bias`` of (B, C, 6, 2, h, w), with every derivative.

    Half precision is computed in float32 and rounded once: its own squares overflow from 256 on,
    and the square of a bias below 2e-4 is 0.
    """
    if details.dtype in (torch.float16, torch.bfloat16):

        def rounded(details: Tensor) -> list[Tensor]:
            return [smooth_magnitude(details.float(), bias).to(details.dtype)]

        return by_planes(rounded, details)[0]
    if is_memory(details) and not is_derived(details):
        return _by_kernel(details, bias)
    if is_only_differentiated_backward(details):
        return _SmoothMagnitude.apply(details, bias)
    return _plain(details, bias)


def _by_kernel(details: Tensor, bias: float) -> Tensor:
    kernel = kernels_for(details, _KERNEL, "Magnitudes run")
    if kernel is None:
        return _plain(details, bias)
    parts = details.resolve_neg().contiguous()
    result = room(parts, (*parts.shape[:3], *parts.shape[4:]))
    samples = parts[0, 0, 0, 0].numel()
    kernel.smooth(parts.view(-1, 2, samples), bias, result.view(-1, samples))
    return result


class _SmoothMagnitude(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, details: Tensor, bias: float) -> Tensor:
        ctx.save_for_backward(details)
        ctx.bias = bias
        return _by_kernel(details, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (details,) = ctx.saved_tensors
        kernel = None
        if not torch.is_grad_enabled() and is_only_differentiated_backward(details, gradient):
            kernel = kernels_for(details, _KERNEL, "Magnitudes run")
        if kernel is None:  # itself differentiable
            scale = gradient / (_plain(details, ctx.bias) + ctx.bias)
            return scale.unsqueeze(3) * details, None
        parts, given = details.resolve_neg().contiguous(), gradient.resolve_neg().contiguous()
        result = room(parts, parts.shape)
        samples = parts[0, 0, 0, 0].numel()
        planes = (-1, 2, samples)
        kernel.smooth_gradient(
            parts.view(planes), ctx.bias, given.view(-1, samples), result.view(planes)
        )
        return result, None


@lru_cache(maxsize=64)
def mean_of_pairs(side: int) -> Banded:
    """The mean of every two neighbours along an axis of so many samples."""
    return Banded.of(np.kron(np.eye(side // 2), np.full((1, 2), 0.5)))


def writes_bands(x: Tensor) -> bool:
    """Whether `BandWriter` serves what is made of `x`: numbers, on the CPU, with a kernel."""
    if not is_memory(x) or is_derived(x):
        return False
    return kernels_for(x, _KERNEL, "Magnitudes run") is not None


class BandWriter:
    """Bands of images as channels of tokens, (B, h, w, C * bands), written one group at a time.

    Args:
        like: images (B, C, H, W), which `writes_bands`.
        bands: of each channel.
        size: (h, w).
    """

    def __init__(self, like: Tensor, bands: int, size: tuple[int, int]) -> None:
        self.channels, self.bands = like.shape[1], bands
        self.tokens = room(like, (len(like), *size, self.channels * bands))

    def write(
        self,
        kind: str,
        maps: Tensor,
        first: int,
        low_pass: tuple[Banded, Banded],
        *,
        taken: Sequence[int] = (0,),
        bias: float = 0.0,
    ) -> None:
        """Low-passes maps and writes them from band `first` on.

        Args:
            kind: what is low-passed: ``"linear"``, the maps; ``"modulus"``, their absolute values;
                ``"smooth"``, `smooth_magnitude` of pairs of maps.
            maps: (B, C, …, H, W); between channels and sides are maps, or pairs of them.
            first: band of the first of them.
            low_pass: along columns and along rows.
            taken: which maps (or pairs) of a channel.
            bias: of `smooth_magnitude`.
        """
        batch, channels = maps.shape[:2]
        planes = maps.resolve_neg().contiguous().view(batch, -1, *maps.shape[-2:])
        height, width, depth = self.tokens.shape[1:]
        _run(
            kind,
            bias,
            planes,
            _places(channels, planes.shape[1] // (channels * (1 + (kind == "smooth"))), taken),
            low_pass,
            self.tokens,
            _places(channels, self.bands, range(first, first + len(taken))),
            (height * width * depth, width * depth, depth),
        )


@lru_cache(maxsize=128)
def _places_of(channels: int, each: int, taken: tuple[int, ...]) -> np.ndarray:
    return np.array([c * each + k for c in range(channels) for k in taken], np.int64)


def _places(channels: int, each: int, taken: Sequence[int]) -> np.ndarray:
    return _places_of(channels, each, tuple(taken))


def _run(
    kind: str,
    bias: float,
    planes: Tensor,
    reads: np.ndarray,
    low_pass: tuple[Banded, Banded],
    target: Tensor,
    targets: np.ndarray,
    steps: tuple[int, int, int],
) -> None:
    kernel = kernels_for(target, _KERNEL, "Magnitudes run")
    assert kernel is not None  # `writes_bands` has asked
    kernel.low_passed(_KINDS[kind], bias, planes, reads, *low_pass, target, targets, steps)


def low_passed(maps: Tensor, low_pass: tuple[Banded, Banded]) -> Tensor:
    """Maps (B, C, H, W), each low-passed to a coarser grid, (B, C, h, w); where `writes_bands`."""
    batch, channels = maps.shape[:2]
    height, width = (axis.outputs for axis in low_pass)
    result = room(maps, (batch, channels, height, width))
    targets = np.arange(channels, dtype=np.int64) * (height * width)
    steps = (channels * height * width, width, 1)
    planes = maps.resolve_neg().contiguous()
    reads = np.arange(channels, dtype=np.int64)
    _run("linear", 0.0, planes, reads, low_pass, result, targets, steps)
    return result
