"""Image statistics that alignments choose the grid by: local strengths and sums over phases.

Each strength maps (B, C, H, W) to (B, H, W), commutes with every circular shift, and is computed
in float32 at least, because squares of half-precision numbers underflow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from wavevit.wavelets._engine.kernel_choice import kernels_for
from wavevit.wavelets._engine.pieces import are_numbers, by_images

__all__ = [
    "BOUNDARIES",
    "energy",
    "harmonics",
    "laplacian_energy",
    "local_activity",
    "loops_for",
    "spans",
    "sum_by_phase",
    "taper",
]

BOUNDARIES = ("circular", "window", "mirror", "interior")


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _with_next(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, axis: int) -> Tensor:
    """`function` of each entry along an axis and its successor on the circle, nothing padded."""
    count = x.shape[axis] - 1
    inside = function(x.narrow(axis, 0, count), x.narrow(axis, 1, count))
    seam = function(x.narrow(axis, count, 1), x.narrow(axis, 0, 1))
    return torch.cat([inside, seam], dim=axis)


def energy(x: Tensor) -> Tensor:
    """Squared values, summed over channels."""
    return _wide(x).square().sum(dim=1)


def local_activity(x: Tensor) -> Tensor:
    """Squared undecimated Haar details, summed over bands and channels.

    In terms of first differences, with `u` along rows and `v` along columns, the three squares of
    the block at `n` sum to ``(u² + u²[row + 1]) / 2 + (v + v[column + 1])² / 4``: half the work.
    """
    return by_images(_local_activity, _wide(x))


def _local_activity(x: Tensor) -> Tensor:
    along = _with_next(lambda a, b: (a - b).square().sum(dim=1), x, -1)
    both = _with_next(
        lambda a, b: _with_next(lambda c, d: (c + d).square().sum(dim=1), a - b, -1), x, -2
    )
    return torch.add(both, along + torch.roll(along, -1, 1), alpha=2) / 4


def laplacian_energy(x: Tensor) -> Tensor:
    """Squared second differences (four neighbours), summed over channels."""
    x = _wide(x)
    # Of differences: a constant image gives an exact 0, which 4x - x - x - x - x does not.
    steps = [x - torch.roll(x, 1, axis) for axis in (-2, -1)]
    down, along = (
        torch.roll(step, -1, axis) - step for step, axis in zip(steps, (-2, -1), strict=True)
    )
    return (down + along).square().sum(dim=1)


def _hann(strength: Tensor) -> tuple[Tensor, Tensor]:
    """Windows of the rows and of the columns of images (…, H, W)."""
    rows, columns = (
        torch.hann_window(side, periodic=False, dtype=strength.dtype, device=strength.device)
        for side in strength.shape[-2:]
    )
    return rows, columns


def taper(strength: Tensor, boundary: str) -> Tensor:
    """`strength` (B, H, W) as it is on a circle, under a Hann window where there is a border."""
    if boundary == "circular":
        return strength
    rows, columns = _hann(strength)
    return strength * rows[:, None] * columns


def loops_for(*tensors: Tensor) -> ModuleType | None:
    """`wavevit.alignment.lock_cpu` where it can take images, and numbers beside them, else None."""
    if not are_numbers(*tensors):
        return None
    return kernels_for(tensors[0], "wavevit.alignment.lock_cpu", "Alignments run")


def _harmonic(profile: Tensor, period: int) -> Tensor:
    """Of profiles (B, n): real and imaginary part of ``Σ_n profile[n] e^{-2πi n/period}``, and the
    sum, (B, 3)."""
    steps = torch.arange(profile.shape[-1], device=profile.device, dtype=profile.dtype)
    angle = (steps % period) * (-2 * math.pi / period)
    return profile @ torch.stack([angle.cos(), angle.sin(), torch.ones_like(angle)], dim=-1)


def harmonics(x: Tensor, boundary: str, sides: tuple[int, int]) -> Tensor:
    """One Fourier coefficient of the tapered `local_activity` along each axis.

    Args:
        x: images (B, C, H, W).
        boundary: see `taper`.
        sides: the period along rows' and columns' axis, from `spans`.

    Returns:
        float64 (B, 2, 3): for the sums over each row and over each column the real and the
        imaginary part of ``Σ_n sum[n] e^{-2πi n / side}``, and the sum of all. The few numbers of a
        profile are worth float64: a rounding error would move the whole grid.
    """
    x = _wide(x)
    if (loops := loops_for(x)) is not None:
        tapers = None if boundary == "circular" else _hann(x)
        return loops.harmonics(x.contiguous(), tapers, sides)
    activity = taper(local_activity(x), boundary)
    profiles = [activity.sum(dim=axis).double() for axis in (2, 1)]
    return torch.stack([_harmonic(*pair) for pair in zip(profiles, sides, strict=True)], dim=1)


def spans(size: tuple[int, ...], period: int | None) -> tuple[int, int]:
    """The period that each side (H, W) has: where P does not divide a side, the side itself.

    No circular action of P exists on such a side; the whole of it is the only choice that keeps
    an alignment exact.
    """
    height, width = (side if period is None or side % period else period for side in size)
    return height, width


def sum_by_phase(strength: Tensor, span: tuple[int, int]) -> Tensor:
    """Sums of (B, H, W) over each phase: (B, p, q), entry (i, j) over pixels (i + pℤ, j + qℤ)."""
    return strength.unflatten(2, (-1, span[1])).unflatten(1, (-1, span[0])).sum(dim=(1, 3))
