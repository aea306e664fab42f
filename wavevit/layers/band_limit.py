"""Resampling without aliasing: an ideal or a short low-pass before a coarser grid.

A map of n samples on a circle is a trigonometric polynomial. `resample` keeps its harmonics below
both grids' Nyquist frequency and evaluates them on the new grid. A shift of the finer map by any
real number of samples is then the same shift of the coarser one, and sums of products over the
grid do not feel it (Parseval's theorem). The Nyquist harmonic of an even grid has no phase, so it
is dropped too: without that, half a step would change its energy.

The resampling is written as one matrix per axis instead of a Fourier transform: for images of a
few hundred pixels two products cost no more, they know every dtype and every export format, and
the sides of the two grids need have no common divisor.

What is ideal in frequency reaches round the whole circle. `windowed_sinc` is four coarse steps
wide: it needs no circle and leaves a little above Nyquist.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wavevit.wavelets._engine.symbolic_shapes import exporting, smaller
from wavevit.wavelets._engine.tensor_cache import remember

__all__ = [
    "LOW_PASSES",
    "decimate",
    "dirichlet",
    "low_pass_matrices",
    "resample",
    "windowed_sinc",
]

LOW_PASSES = ("ideal", "short", "none")
# Of the short filter: where it is down to a half, as a share of the coarse grid's Nyquist
# frequency; its reach in coarse steps; Kaiser's β. At Nyquist it is down to 0.11, where a half-band
# filter is at a half whatever its length.
_CUT, _REACH, _BETA = 0.6, 2, 4.0
_MOST_KEPT = 1 << 20  # numbers of a matrix that is kept


def dirichlet(inputs: int, outputs: int, like: Tensor, least: int | None = None) -> Tensor:
    """The matrix (outputs, inputs) that resamples one circle, in the dtype and place of `like`.

    ``D[i, j] = 1/inputs Σ_k e^{2πik(i/outputs − j/inputs)}``, over the k below both Nyquists.

    Args:
        inputs: samples of the one grid.
        outputs: samples of the other.
        like: gives dtype and place.
        least: the smaller of the two, where the caller knows: an exported graph is much quicker
            to make if it need not find out.
    """
    if least is None:
        least = smaller(inputs, outputs)
    if not _is_worth_keeping(inputs, outputs):
        return _dirichlet(inputs, outputs, like, least)
    key = (dirichlet, inputs, outputs, least, like.dtype, like.device)
    return remember(key, lambda: _dirichlet(inputs, outputs, like, least))


def _is_worth_keeping(inputs: int, outputs: int) -> bool:
    """Whether a matrix is kept for the next call: not in a graph, and not of large sides."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or exporting():
        return False
    return type(inputs) is type(outputs) is int and inputs * outputs <= _MOST_KEPT


def _dirichlet(inputs: int, outputs: int, like: Tensor, least: int) -> Tensor:
    count = (least + 1) // 2  # harmonics, the mean included
    # One more than there are, of weight 0: an exported graph need not tell one from several.
    k = torch.arange(count + 1, device=like.device)
    weight = 2.0 * (k < count) - 1.0 * (k == 0)

    def waves(samples: int) -> tuple[Tensor, Tensor]:
        # Whole turns are taken off while the numbers are whole: the angles are exact. A tensor,
        # because ONNX takes no remainder of a side that is a symbol.
        circle = torch.full((), samples, device=like.device, dtype=k.dtype)
        turns = k * torch.arange(samples, device=like.device)[:, None] % circle
        angle = turns.double() * (2 * math.pi / samples)
        return angle.cos(), angle.sin()

    (cos_out, sin_out), (cos_in, sin_in) = waves(outputs), waves(inputs)
    sums = (cos_out * weight) @ cos_in.T + (sin_out * weight) @ sin_in.T
    return (sums / inputs).to(like.dtype)


def resample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (…, H, W) to (…, *size), coarser or finer.

    Guarantees:
        Commutes with every circular shift of the finer grid, fractions of a coarse step included,
        in the sense of Fourier's shift theorem; mean and inner products of what is kept stay
        (tests/properties/test_band_limit_laws.py).
    """
    rows, columns = (dirichlet(n, m, x) for n, m in zip(x.shape[-2:], size, strict=True))
    return rows @ (x @ columns.T)


def windowed_sinc(inputs: int, outputs: int, like: Tensor, circular: bool = True) -> Tensor:
    """The matrix (outputs, inputs) of a short low-pass at the middles of the coarse cells.

    A sinc under Kaiser's window, two coarse steps to either side. Rows sum to 1: a constant stays
    what it is.

    Args:
        inputs: samples of the finer grid.
        outputs: samples of the coarser one.
        like: gives dtype and place.
        circular: on a circle; False for a border beyond which nothing is, where the filter is made
            of what lies within.
    """
    if not _is_worth_keeping(inputs, outputs):
        return _windowed_sinc(inputs, outputs, like, circular)
    key = (windowed_sinc, inputs, outputs, circular, like.dtype, like.device)
    return remember(key, lambda: _windowed_sinc(inputs, outputs, like, circular))


def _windowed_sinc(inputs: int, outputs: int, like: Tensor, circular: bool) -> Tensor:
    step = inputs / outputs
    cells = torch.arange(outputs, device=like.device, dtype=torch.float64)
    samples = torch.arange(inputs, device=like.device, dtype=torch.float64)
    centre = (cells[:, None] + 0.5) * step - 0.5
    matrix = like.new_zeros(outputs, inputs, dtype=torch.float64)
    # A map of few samples meets the filter again on its way round the circle.
    turns = range(-_REACH, _REACH + 1) if circular else (0,)
    for turn in turns:
        distance = (samples + turn * inputs - centre) / step
        window = torch.special.i0(_BETA * (1 - (distance / _REACH).square()).clamp_min(0).sqrt())
        matrix += torch.sinc(_CUT * distance) * window * (distance.abs() < _REACH)
    return (matrix / matrix.sum(1, keepdim=True)).to(like.dtype)


def decimate(x: Tensor, step: int, low_pass: str, circular: bool = True) -> Tensor:
    """Maps (…, H, W) to (…, ⌈H/step⌉, ⌈W/step⌉).

    Args:
        x: maps.
        step: samples of the finer grid for one of the coarser.
        low_pass: of `LOW_PASSES`: ``"ideal"`` (`resample`), ``"short"`` (`windowed_sinc`) or
            ``"none"``, which takes every `step`-th sample as it is.
        circular: see `windowed_sinc`; the ideal low-pass is circular always.

    Guarantees:
        ``"ideal"`` follows every shift; ``"short"`` whole coarse steps, and others up to what its
        response leaves above Nyquist (tests/properties/test_band_limit_laws.py).
    """
    if low_pass == "none":
        return x[..., ::step, ::step]
    rows, columns = low_pass_matrices(x, step, low_pass, circular)
    return rows @ (x @ columns.T)


def low_pass_matrices(
    x: Tensor, step: int, low_pass: str, circular: bool = True
) -> tuple[Tensor, Tensor]:
    """The matrices (⌈H/step⌉, H) and (⌈W/step⌉, W) of `decimate`, ``"ideal"`` or ``"short"``."""
    height, width = (-(-side // step) for side in x.shape[-2:])
    if low_pass == "ideal":
        rows = dirichlet(x.shape[-2], height, x, least=height)
        return rows, dirichlet(x.shape[-1], width, x, least=width)
    rows = windowed_sinc(x.shape[-2], height, x, circular)
    return rows, windowed_sinc(x.shape[-1], width, x, circular)
