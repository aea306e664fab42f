"""Dual-tree complex wavelet transform (Kingsbury) in two dimensions.

Two wavelet trees, whose filters are half a sample apart, are the real and the imaginary part
of one complex wavelet. With four times the numbers of a DWT it has six orientations instead of
three, and magnitudes that change little when the image shifts by a pixel, because a shift changes
mostly the phase. The levels are computed in `_engine.dtcwt_levels`, the filters are in
`_engine.dtcwt_filters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.overrides import handle_torch_function

from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.wavelets._engine.coefficients import check_pyramid, crop
from wavevit.wavelets._engine.dtcwt_filters import BIORTS, QSHIFTS
from wavevit.wavelets._engine.dtcwt_levels import compute_dtype
from wavevit.wavelets._engine.dtcwt_tree import Step, Steps, decompose, recompose
from wavevit.wavelets._engine.operators import is_symbolic
from wavevit.wavelets._engine.symbolic_shapes import certainly

__all__ = [
    "DTCWT2",
    "DTCWT_MODES",
    "IDTCWT2",
    "ORIENTATIONS",
    "DualTreePyramid",
    "dtcwt2",
    "dtcwt_max_level",
    "idtcwt2",
]

DTCWT_MODES = ("symmetric", "periodic")
# Degrees of the edges that a band answers to, counter-clockwise from a horizontal edge.
ORIENTATIONS = (15, 45, 75, 105, 135, 165)


class DualTreePyramid(NamedTuple):
    """A dual-tree decomposition.

    Attributes:
        approx: the four trees' approximations, interleaved, (B, C, 2h, 2w); the coarsest
            details have (h, w).
        details: one tensor per level, coarse to fine as in `wavevit.wavelets.Pyramid`, each
            (B, C, 6, 2, h_l, w_l): the six `ORIENTATIONS`, then real and imaginary part. There is
            no complex dtype, because bfloat16, float16 and ONNX have none;
            ``details[l].flatten(1, 3)`` are feature channels, and
            ``torch.view_as_complex(d.movedim(3, -1).contiguous())`` is the complex tensor.
    """

    approx: Tensor
    details: tuple[Tensor, ...]


def dtcwt_max_level(height: int, width: int) -> int:
    """Largest number of levels: halvings, each rounded up, until the shorter side is 1; at least 1.

    Args:
        height: of the image, in pixels.
        width: the same.

    Raises:
        ValueError: a side below one pixel.
    """
    check_at_least("height", height, 1)
    check_at_least("width", width, 1)
    return _deepest(height, width)


def _deepest(height: int, width: int) -> int:
    """`dtcwt_max_level` without its checks."""
    return max((min(height, width) - 1).bit_length(), 1)


def check_banks(biort: str, qshift: str, mode: str) -> None:
    """Raises an error for unknown names, with the nearest known names."""
    check_choice("biort", biort, BIORTS)
    check_choice("qshift", qshift, QSHIFTS)
    check_choice("mode", mode, DTCWT_MODES)


def check_dtcwt_level(level: int, height: int, width: int, argument: str = "level") -> None:
    """Raises an error for a level below 1 or above the largest useful level."""
    check_at_least(argument, level, 1)
    least = 2 ** (level - 1) + 1 if level > 1 else 1
    if certainly(height < least) or certainly(width < least):
        deepest = _deepest(height, width)
        fail(argument, f"at most {deepest} for a side of {min(height, width)} pixels", level)


def steps_of(biort: str, qshift: str, mode: str, way: str = "analysis") -> Steps:
    """Named filters as the levels of one direction, ``"analysis"`` or ``"synthesis"``."""
    return Steps(Step(f"{way} {biort}", mode), Step(qshift, mode))


def dtcwt2(
    x: Tensor,
    level: int = 3,
    biort: str = "near_sym_a",
    qshift: str = "qshift_a",
    mode: str = "symmetric",
) -> DualTreePyramid:
    """The 2-D dual-tree complex wavelet transform.

    Args:
        x: images (B, C, H, W), any floating dtype, any size from 1 pixel. An odd side is first
            extended by repeating its last row or column. From level 2 on, an approximation side
            that is not a multiple of 4 is extended by one sample at either end. Kingsbury's
            toolbox and its ports do the same.
        level: number of levels, at most `dtcwt_max_level`.
        biort: filters of level 1: ``"near_sym_a"`` (5/7 taps), ``"near_sym_b"`` (13/19),
            ``"legall"`` (5/3) or ``"antonini"`` (9/7).
        qshift: filters from level 2 on: ``"qshift_06"`` (6 taps in 10), ``"qshift_a"`` (10),
            ``"qshift_b"`` (14), ``"qshift_c"`` (16) or ``"qshift_d"`` (18).
        mode: ``"symmetric"`` mirrors the image and repeats the border pixel;
            ``"periodic"`` wraps it, and commutes with circular shifts by ``2**level``.

    Returns:
        A `DualTreePyramid`. Level l counted from 1 has details of ⌈H / 2**l⌉ by ⌈W / 2**l⌉.

    Raises:
        ValueError: wrong rank, integer images, an unknown name, too many levels.

    Guarantees:
        Equal to pytorch-wavelets' ``DTCWTForward`` (which has real and imaginary parts on the last
        axis, and levels fine to coarse): to 1e-12 in float64 with equal taps, to 1e-7 with its own
        taps, which have 8 decimals. Inverted by `idtcwt2`. Linear. Energy within
        `level_one_frame_bounds`. Details of constants are zero: at level 1 and with ``"qshift_06"``
        to rounding; with the published taps of the other Q-shift filters to 2e-5 times the size of
        the approximation, which doubles at each level from 2 on. Under a 1-pixel circular shift,
        magnitudes change less than those of Haar details on every bundled photograph, by factors
        of at least 1.05 at level 1, 1.75 at level 2, 1.85 at level 3 (medians 1.9, 2.5, 3.0)
        (tests/properties/test_dtcwt_laws.py). In eager mode on the CPU three levels allocate 5.25
        images at the peak, 4 of them the output (tests/unit/test_wavelet_memory.py). *Not*
        guaranteed: shift invariance. Magnitudes change a little, and real and imaginary parts
        change as much as any decimated coefficient.

    Source:
        Kingsbury, Appl. Comput. Harmonic Analysis 10(3), 2001; Selesnick, Baraniuk & Kingsbury,
        IEEE Signal Processing Magazine 22(6), 2005. Periodic borders are ours.

    Example:
        >>> import torch
        >>> pyramid = dtcwt2(torch.ones(1, 3, 32, 32), level=2)
        >>> pyramid.approx.shape, [tuple(d.shape) for d in pyramid.details]
        (torch.Size([1, 3, 16, 16]), [(1, 3, 6, 2, 8, 8), (1, 3, 6, 2, 16, 16)])
    """
    if is_symbolic(x):
        return handle_torch_function(dtcwt2, (x,), x, level, biort, qshift, mode)
    check_image(x)
    check_banks(biort, qshift, mode)
    check_dtcwt_level(level, x.shape[-2], x.shape[-1])
    computed = x.to(compute_dtype(x.dtype))
    approximations, details = decompose(computed, level, steps_of(biort, qshift, mode))
    return DualTreePyramid(
        approximations[-1].to(x.dtype), tuple(band.to(x.dtype) for band in reversed(details))
    )


def idtcwt2(
    pyramid: DualTreePyramid | tuple[Tensor, Sequence[Tensor]],
    biort: str = "near_sym_a",
    qshift: str = "qshift_a",
    mode: str = "symmetric",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `dtcwt2`.

    Args:
        pyramid: result of `dtcwt2`, or any ``(approx, details)`` of fitting shapes, which set the
            number of levels.
        biort: as in `dtcwt2`.
        qshift: as in `dtcwt2`.
        mode: as in `dtcwt2`.
        output_size: (H, W) of the original image; needed only if a side was odd.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: details that do not fit the approximation of their level, no level, or an
            `output_size` that does not fit the coefficients.

    Guarantees:
        ``idtcwt2(dtcwt2(x), output_size=x.shape[-2:])`` is `x` to the dtype's rounding
        (tests/properties/test_dtcwt_laws.py). The transform is redundant: other pyramids give the
        same image, and for near-orthonormal `biort` this inverse is close to the least-squares one.
    """
    parts = pyramid if isinstance(pyramid, tuple) else (pyramid,)
    if is_symbolic(*parts):
        return handle_torch_function(idtcwt2, parts, pyramid, biort, qshift, mode, output_size)
    approx, details = check_pyramid(pyramid)
    check_image(approx, "pyramid.approx")
    check_banks(biort, qshift, mode)
    if len(details) == 0:
        fail("pyramid.details", "at least one level", "none")
    steps = steps_of(biort, qshift, mode, "synthesis")
    return crop(recompose(approx, details, steps), output_size)


class DTCWT2(nn.Module):
    """`dtcwt2` as a module.

    Args:
        level: see `dtcwt2`.
        biort: see `dtcwt2`.
        qshift: see `dtcwt2`.
        mode: see `dtcwt2`.

    Raises:
        ValueError: as `dtcwt2`.
    """

    def __init__(
        self,
        level: int = 3,
        biort: str = "near_sym_a",
        qshift: str = "qshift_a",
        mode: str = "symmetric",
    ) -> None:
        check_at_least("level", level, 1)
        check_banks(biort, qshift, mode)
        super().__init__()
        self.level, self.biort, self.qshift, self.mode = level, biort, qshift, mode

    def forward(self, x: Tensor) -> DualTreePyramid:
        """(B, C, H, W) to a `DualTreePyramid`."""
        return dtcwt2(x, self.level, self.biort, self.qshift, self.mode)

    def extra_repr(self) -> str:
        banks = f"biort={self.biort!r}, qshift={self.qshift!r}"
        return f"level={self.level}, {banks}, mode={self.mode!r}"


class IDTCWT2(nn.Module):
    """`idtcwt2` as a module.

    Args:
        biort: see `dtcwt2`.
        qshift: see `dtcwt2`.
        mode: see `dtcwt2`.

    Raises:
        ValueError: as `idtcwt2`.
    """

    def __init__(
        self, biort: str = "near_sym_a", qshift: str = "qshift_a", mode: str = "symmetric"
    ) -> None:
        check_banks(biort, qshift, mode)
        super().__init__()
        self.biort, self.qshift, self.mode = biort, qshift, mode

    def forward(
        self,
        pyramid: DualTreePyramid | tuple[Tensor, Sequence[Tensor]],
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """A `DualTreePyramid` to (B, C, H, W)."""
        return idtcwt2(pyramid, self.biort, self.qshift, self.mode, output_size)

    def extra_repr(self) -> str:
        return f"biort={self.biort!r}, qshift={self.qshift!r}, mode={self.mode!r}"
