"""Phase locking: lay the patch grid where the image says, not where the frame happens to be.

Write `T_s` for a shift by `s` pixels and let a model `g` keep shifts by whole multiples of a
period `P`. From the local wavelet activity `a(x)[n]` (sum over channels of the squared
undecimated Haar details) take one Fourier coefficient along each axis,

    c(x) = Σ_n a(x)[n] e^{-2πi n / P},        k(x) = round(-P/2π · arg c(x))  mod P.

Shifting the image turns the coefficient, `c(T_s x) = c(x) e^{-2πi s / P}`, hence
`k(T_s x) = k(x) + s (mod P)`, and `f(x) = g(T_{-k(x)} x)` is the same for every shift of `x`.
The argument jumps nowhere but at `|c| = 0`: there is no tie of near-equal candidates to flip, as
there is when a grid is chosen by argmax of an energy. (The integer rounding does step; the
fractional mode, which does not, is a matter of its own.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_choice, check_image
from wavevit.wavelets.haar import haar_details_undecimated

__all__ = ["BOUNDARIES", "Phase", "PhaseLock", "local_activity", "phase_of", "roll_images"]

BOUNDARIES = ("circular", "window")


class Phase(NamedTuple):
    """Where the grid of each image is laid.

    Attributes:
        offset: (B, 2) integers, rows and columns, in ``[0, period)`` pixels.
        margin: (B, 2) in [0, 1]: ``|c|`` as a share of the total activity. Near 0 the image has
            no phase at this period and the lock falls back to offset 0.
    """

    offset: Tensor
    margin: Tensor


def local_activity(x: Tensor) -> Tensor:
    """Squared undecimated Haar details, summed over bands and channels: (B, C, H, W) to (B, H, W).

    Computed in float32 at least, because squares of half-precision details underflow.
    """
    details = haar_details_undecimated(x.to(torch.promote_types(x.dtype, torch.float32)))
    return details.square().sum(dim=(1, 2))


def _harmonic(profile: Tensor, period: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of ``Σ_n profile[n] e^{-2πi n/period}`` for profiles (B, n)."""
    # float64 for the few numbers of a profile: a rounding error here would move the whole grid.
    profile = profile.double()
    steps = torch.arange(profile.shape[-1], device=profile.device, dtype=torch.float64)
    angle = (steps % period) * (2 * math.pi / period)
    basis = torch.stack([angle.cos(), -angle.sin()], dim=-1)
    real, imaginary = (profile @ basis).unbind(-1)
    return real, imaginary


def phase_of(x: Tensor, period: int | None, boundary: str = "circular") -> Phase:
    """The grid offset that each image asks for.

    Args:
        x: images (B, C, H, W).
        period: P in pixels, or None for the whole image. Where P does not divide a side, no
            circular action of P exists on it, and the side itself is taken as the period there:
            the only choice that keeps the lock exact.
        boundary: ``"circular"`` weights every pixel alike and is exact for circular shifts;
            ``"window"`` tapers the activity with a Hann window, so that what enters and leaves
            at the border hardly counts and the grid follows the content of a real crop.

    Returns:
        A `Phase`.
    """
    check_choice("boundary", boundary, BOUNDARIES)
    activity = local_activity(x)
    if boundary == "window":
        for axis in (-2, -1):
            size = activity.shape[axis]
            taper = torch.hann_window(size, periodic=False, dtype=activity.dtype, device=x.device)
            activity = activity * (taper[:, None] if axis == -2 else taper)
    offsets, margins = [], []
    total = activity.double().sum(dim=(1, 2))
    for axis, side in ((2, x.shape[-2]), (1, x.shape[-1])):
        span = side if period is None or side % period else period
        real, imaginary = _harmonic(activity.sum(dim=axis), span)
        margin = torch.hypot(real, imaginary) / total.clamp_min(torch.finfo(total.dtype).tiny)
        # Below the rounding error of the activity itself the angle is noise: constant images,
        # stripes whose period divides P. Then the grid stays where the frame puts it.
        has_phase = margin > 64 * torch.finfo(activity.dtype).eps
        offset = torch.round(torch.atan2(imaginary, real) * (-span / (2 * math.pi))) % span
        offsets.append(torch.where(has_phase, offset, 0.0).long())
        margins.append(margin)
    return Phase(torch.stack(offsets, dim=-1), torch.stack(margins, dim=-1))


def roll_images(x: Tensor, shift: Tensor) -> Tensor:
    """torch.roll with a shift of its own for each image, ``shift`` (B, 2) of rows and columns."""
    batch, channels, height, width = x.shape
    rows = (torch.arange(height, device=x.device) - shift[:, :1]) % height
    columns = (torch.arange(width, device=x.device) - shift[:, 1:]) % width
    x = x.gather(2, rows[:, None, :, None].expand(batch, channels, height, width))
    return x.gather(3, columns[:, None, None, :].expand(batch, channels, height, width))


class PhaseLock(nn.Module):
    """Rolls each image to its own phase: put before a model that keeps shifts by `period`.

    Args:
        period: the shift in pixels that the model behind it keeps; None for a model that keeps
            none (absolute positions, zero padding): the phase is then that of the whole image.
        boundary: see `phase_of`.

    Raises:
        ValueError: a period below 1 or an unknown boundary.

    Guarantees:
        With ``boundary="circular"`` a model behind the lock that keeps the declared period is
        invariant to every integer circular shift, to the rounding of its dtype, for images that
        have a phase at this period (tests/properties/test_phase_lock_laws.py). *Not* guaranteed:
        crop shifts, sub-pixel shifts, images whose `Phase.margin` is 0 (constants, stripes whose
        period divides P), where the offset falls back to 0; and ``boundary="window"`` is not
        exact for any kind of shift.

    Source:
        Ours; the idea of choosing the grid from the image is Chaman & Dokmanic 2021 (CVPR), who
        take an argmax of energies.
    """

    def __init__(self, period: int | None, boundary: str = "circular") -> None:
        super().__init__()
        if period is not None:
            check_at_least("period", period, 1)
        self.period = period
        self.boundary = check_choice("boundary", boundary, BOUNDARIES)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to the same images, each rolled by minus its offset."""
        check_image(x)
        return roll_images(x, -phase_of(x.detach(), self.period, self.boundary).offset)

    def extra_repr(self) -> str:
        return f"period={self.period}, boundary={self.boundary!r}"
