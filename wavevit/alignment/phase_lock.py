"""Phase lock: move each image so that the patch grid follows its content.

Write `T_s` for a shift by `s` pixels and let a model `g` keep shifts by whole multiples of a
period `P`. From the local wavelet activity `a(x)[n]` (sum over channels of the squared
undecimated Haar details) take one Fourier coefficient along each axis,

    c(x) = Σ_n a(x)[n] e^{-2πi n / P},        k(x) = -P/2π · arg c(x)  mod P.

Shifting the image turns the coefficient, `c(T_s x) = c(x) e^{-2πi s / P}`, hence
`k(T_s x) = k(x) + s (mod P)`, and `f(x) = g(T_{-k(x)} x)` is the same for every shift of `x`.
The argument jumps only at `|c| = 0`. There are no ties of nearly equal candidates, as with an
argmax of energies. Only the rounding of `k` to whole pixels jumps (``shift="integer"``);
``shift="fractional"`` does not round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from wavevit.alignment.base import Alignment, Views
from wavevit.alignment.registry import register_alignment
from wavevit.alignment.statistics import BOUNDARIES, harmonics, loops_for, spans
from wavevit.checks import check_at_least, check_choice, check_number, check_tensor, fail
from wavevit.layers.options import PartOptions

__all__ = ["SHIFTS", "Phase", "PhaseLock", "PhaseLockOptions", "phase_of"]

SHIFTS = ("integer", "fractional")

# `k` of an image that is its own mirror is a multiple of 1/2, and such images are common
# (symbols, test patterns): a step at 1/2 would leave them to rounding errors. At 1/4 it is as far
# from them as it can be, and equally shift-equivariant.
_STEP = 0.25


class Phase(NamedTuple):
    """Grid offset of each image, and its margin.

    Attributes:
        offset: (B, 2), rows and columns, in ``[0, period)`` pixels; integers or, for fractional
            shifts, float64.
        margin: (B, 2) in [0, 1]: ``|c|`` as a share of the total activity. Near 0 the image has
            no phase at this period, and the lock uses offset 0.
    """

    offset: Tensor
    margin: Tensor


def phase_of(
    x: Tensor, period: int | None, boundary: str = "circular", shift: str = "integer"
) -> Phase:
    """Computes the grid offset (phase) of each image.

    Args:
        x: images (B, C, H, W).
        period: P in pixels, or None for the whole image; a side that P does not divide has the
            side as its period.
        boundary: see `Alignment`.
        shift: ``"integer"`` rounds the offset, ``"fractional"`` does not.

    Returns:
        A `Phase`.

    Raises:
        ValueError: an unknown boundary or kind of shift, or a period that does not fit.
    """
    check_tensor("x", x, "(B, C, H, W)", 4)
    if period is not None:
        check_at_least("period", period, 1)
    check_choice("boundary", boundary, BOUNDARIES)
    check_choice("shift", shift, SHIFTS)
    sides = spans(x.shape[-2:], period)
    found = harmonics(x, boundary, sides)
    # Below the rounding error of the activity itself the angle is noise: constant images,
    # stripes whose edges repeat after P/2. Then the grid stays where the frame puts it.
    rounding = 64 * torch.finfo(torch.promote_types(x.dtype, torch.float32)).eps
    if shift == "integer" and (loops := loops_for(x, found)) is not None:
        return Phase(*loops.whole_offsets(found, sides, rounding, _STEP))
    real, imaginary, total = found.unbind(-1)  # (B, 2), rows and columns
    margin = torch.hypot(real, imaginary) / total.clamp_min(torch.finfo(total.dtype).tiny)
    has_phase = margin.detach() > rounding
    # The angle of a number without one would be a gradient of NaN, hence the 1.
    angle = torch.atan2(imaginary, torch.where(has_phase, real, 1.0))
    span = torch.tensor(sides, device=x.device, dtype=angle.dtype)
    offset = torch.where(has_phase, angle * (span / (-2 * math.pi)), 0.0)
    if shift == "integer":
        return Phase((torch.floor(offset.detach() + (1 - _STEP)) % span).long(), margin)
    return Phase(offset % span, margin)


@dataclass(frozen=True)
class PhaseLockOptions(PartOptions):
    """Options of the alignment ``"phase_lock"``.

    Attributes:
        shift: ``"integer"`` or ``"fractional"``.
        gate: margin below which the lock fades out; 0 means never.

    Raises:
        ValueError: an unknown kind of shift, or a gate outside [0, 1].
    """

    shift: str = "integer"
    gate: float = 0.0

    def __post_init__(self) -> None:
        check_choice("shift", self.shift, SHIFTS)
        check_number("gate", self.gate, least=0, most=1, expected="a margin in [0, 1]")


@register_alignment("phase_lock")
class PhaseLock(Alignment):
    """Phase lock: moves each image to its phase, before a model that keeps shifts by `period`.

    Args:
        period: see `Alignment`.
        boundary: see `Alignment`.
        shift: ``"integer"`` shifts by whole pixels, ``"fractional"`` by a Fourier shift.
        gate: margin below which the lock fades out. With ``m`` the smaller margin of the two axes
            and ``t = min(m / gate, 1)`` the output is ``w f(locked) + (1 - w) f(x)``, where
            ``w = t² (3 - 2t)``. An image with ``0 < m < gate`` needs two model calls, all others
            one. 0 locks every image that has a phase.

    Raises:
        ValueError: a period below 1, an unknown boundary or shift, a gate outside [0, 1], or
            ``"fractional"`` with ``"mirror"`` or ``"interior"`` (a Fourier shift wraps around).

    Guarantees:
        With ``boundary="circular"`` and a model that keeps the declared period, the output is
        invariant to every integer circular shift, to the rounding of its dtype, for images that
        have a phase at this period; dense outputs move with the image.
        ``"fractional"``: also for sub-pixel (Fourier) shifts of images without frequencies above
        ``1/2 - 1/P`` cycles per pixel; and continuous, with a gradient, if both margins are
        above 0 (jump scan).
        ``"integer"``: continuous except for steps of one pixel where `k` crosses ``n + 1/4``.
        With a gate all this holds for images whose margins are at least the gate. Below it the
        output becomes less invariant, and ``"fractional"`` is continuous everywhere, also at
        margin 0. Tests: tests/properties/test_phase_lock_laws.py and test_alignment_laws.py.
        *Not* guaranteed: crop shifts. Images with `Phase.margin` 0 (constants, stripes whose
        period divides P) get offset 0: finite and deterministic, but neither invariant nor
        continuous. Any boundary other than ``"circular"`` is not exact for any kind of shift.

    Source:
        Ours; the idea of choosing the grid from the image is Chaman & Dokmanic 2021 (CVPR), who
        take an argmax of energies.
    """

    Options = PhaseLockOptions

    def __init__(
        self,
        period: int | None,
        boundary: str = "circular",
        shift: str = "integer",
        gate: float = 0.0,
    ) -> None:
        super().__init__(period, boundary)
        options = PhaseLockOptions(shift, gate)
        self.shift = options.shift
        if shift == "fractional" and boundary in ("mirror", "interior"):
            fail("shift", f"'integer' with boundary={boundary!r}, which does not wrap", repr(shift))
        self.gate = float(options.gate)

    @classmethod
    def build(cls, period: int | None, boundary: str, options: PhaseLockOptions) -> Self:
        return cls(period, boundary, options.shift, options.gate)

    @property
    def calls_vary(self) -> bool:
        """With a gate: two calls where it is half open."""
        return self.gate > 0

    def views(self, x: Tensor) -> Views:
        """One view of each image, at its phase; where the gate is half open, also the image."""
        if self.shift == "integer":
            x = x.detach()
        offset, margin = phase_of(x, self.period, self.boundary, self.shift)
        if self.gate == 0:
            return Views(offset)
        opened = (margin.amin(dim=1) / self.gate).clamp_max(1)
        locked = opened.square() * (3 - 2 * opened)
        offsets = torch.stack([offset, torch.zeros_like(offset)], dim=1)
        weights = torch.stack([locked, 1 - locked], dim=1)
        # One graph, or no values to look at: both views of every image.
        if torch.compiler.is_compiling() or x.is_meta:
            image = torch.arange(len(x), device=x.device)[:, None].expand_as(weights)
            return Views(offsets.flatten(0, 1), image.flatten(), weights.flatten())
        # Not ``weights > 0``: an image whose weights are NaN must keep its views, and give NaN.
        image, place = (weights <= 0).logical_not().nonzero(as_tuple=True)
        return Views(offsets[image, place], image, weights[image, place])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, shift={self.shift!r}, gate={self.gate}"
