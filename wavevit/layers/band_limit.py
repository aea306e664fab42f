"""Resampling that does not alias: what a coarser grid cannot hold is removed before it is laid.

A map of n samples on a circle is a trigonometric polynomial. `resample` keeps its harmonics below
both grids' Nyquist frequency and evaluates them on the new grid. A shift of the finer map by any
real number of samples is then the same shift of the coarser one, and sums of products over the
grid do not feel it (Parseval's theorem). The Nyquist harmonic of an even grid has no phase, so it
is dropped too: without that, half a step would change its energy.

The resampling is written as one matrix per axis instead of a Fourier transform: for images of a
few hundred pixels two products cost no more, they know every dtype and every export format, and
the sides of the two grids need have no common divisor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["dirichlet", "resample"]


def dirichlet(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """The matrix (outputs, inputs) that resamples one circle, in the dtype and place of `like`.

    ``D[i, j] = 1/inputs Σ_k e^{2πik(i/outputs − j/inputs)}``, over the k below both Nyquists.
    """
    k = torch.arange(1, (min(inputs, outputs) + 1) // 2, device=like.device)

    def waves(samples: int) -> tuple[Tensor, Tensor]:
        # Whole turns are taken off while the numbers are whole: the angles are exact.
        turns = k * torch.arange(samples, device=like.device)[:, None] % samples
        angle = turns.double() * (2 * math.pi / samples)
        return angle.cos(), angle.sin()

    (cos_out, sin_out), (cos_in, sin_in) = waves(outputs), waves(inputs)
    return ((1 + 2 * (cos_out @ cos_in.T + sin_out @ sin_in.T)) / inputs).to(like.dtype)


def resample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (…, H, W) to (…, *size), coarser or finer.

    Guarantees:
        Commutes with every circular shift of the finer grid, fractions of a coarse step included,
        in the sense of Fourier's shift theorem; mean and inner products of what is kept stay
        (tests/properties/test_band_limit_laws.py).
    """
    rows, columns = (dirichlet(n, m, x) for n, m in zip(x.shape[-2:], size, strict=True))
    return rows @ (x @ columns.T)
