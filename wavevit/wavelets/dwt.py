"""Decimated wavelet transforms under PyWavelets' names and conventions.

Images are (B, C, H, W). Subbands come in PyWavelets' order ``cA, cH, cV, cD`` on one axis
behind the channels, so a transform is one tensor and no list has to be threaded through a
network. The functions are overridable like torch's own (`torch.overrides`): a
`TorchFunctionMode` sees the call, which is how `wavevit.measure.cost` counts wavelet steps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.checks import check_at_least, check_choice, check_image, fail, nearest
from wavevit.wavelets.haar import haar_analysis, haar_pyramid_analysis, haar_synthesis

__all__ = [
    "MODES",
    "WAVELETS",
    "Pyramid",
    "dwt2",
    "dwt_max_level",
    "idwt2",
    "iwavepacket2",
    "wavedec2",
    "wavepacket2",
    "waverec2",
]

WAVELETS = ("haar", "db1")
MODES = ("periodization",)


class Pyramid(NamedTuple):
    """A multi-level decomposition.

    Attributes:
        approx: the coarsest approximation, (B, C, h, w).
        details: one tensor per level, coarse to fine as in PyWavelets, each (B, C, 3, h_l, w_l)
            with the bands ``cH, cV, cD``.
    """

    approx: Tensor
    details: tuple[Tensor, ...]


def _check_transform(wavelet: str, mode: str) -> None:
    if wavelet not in WAVELETS:
        import pywt  # only to say something helpful: the transforms do not need it

        known = pywt.wavelist(kind="discrete")
        close = nearest(wavelet, known)
        hint = "known to PyWavelets, not offered here" if wavelet in known else "unknown"
        if close and wavelet not in known:
            hint += f"; nearest: {', '.join(close)}"
        fail("wavelet", f"one of {', '.join(map(repr, WAVELETS))}", f"{wavelet!r} ({hint})")
    check_choice("mode", mode, MODES)


def _check_bands(coefficients: Tensor, argument: str, bands: int) -> None:
    if not isinstance(coefficients, Tensor) or coefficients.ndim != 5:
        shape = tuple(getattr(coefficients, "shape", ()))
        fail(argument, f"a tensor of shape (B, C, {bands}, h, w)", f"shape {shape}")
    if not coefficients.is_floating_point():
        fail(argument, "a floating dtype", coefficients.dtype)
    if coefficients.shape[2] != bands:
        fail(argument, f"{bands} subbands on axis 2", f"shape {tuple(coefficients.shape)}")


def _crop(x: Tensor, output_size: tuple[int, int] | None) -> Tensor:
    if output_size is None:
        return x
    height, width = output_size
    if not (0 <= x.shape[-2] - height <= 1 and 0 <= x.shape[-1] - width <= 1):
        expected = f"sides equal to or one below the reconstruction's {tuple(x.shape[-2:])}"
        fail("output_size", expected, tuple(output_size))
    return x[..., :height, :width]


def dwt_max_level(height: int, width: int) -> int:
    """The deepest useful level of an image for Haar: the shorter side halves that often."""
    return max(min(height, width), 1).bit_length() - 1


def dwt2(x: Tensor, wavelet: str = "haar", mode: str = "periodization") -> Tensor:
    """One level of the 2-D discrete wavelet transform, orthonormal and critically sampled.

    Args:
        x: images (B, C, H, W), any floating dtype, any size from 1 pixel. An odd side is
            extended by repeating its last row or column, as PyWavelets does.
        wavelet: ``"haar"`` (or its other name ``"db1"``).
        mode: ``"periodization"``.

    Returns:
        Coefficients (B, C, 4, ⌈H/2⌉, ⌈W/2⌉), bands ``cA, cH, cV, cD``.

    Raises:
        ValueError: wrong rank, integer images, an unknown wavelet (with the nearest names) or mode.

    Guarantees:
        Equal to ``pywt.dwt2``; energy kept on even sizes; inverted by `idwt2`; linear
        (tests/properties/test_haar_laws.py). *Not* shift-invariant: an odd shift moves energy
        between the bands.

    Source:
        Mallat 1989; conventions of PyWavelets 1.9.

    Example:
        >>> import torch
        >>> dwt2(torch.ones(1, 1, 4, 4))[0, 0, :, 0, 0].tolist()  # a constant is all approximation
        [2.0, 0.0, 0.0, 0.0]
    """
    if has_torch_function((x,)):
        return handle_torch_function(dwt2, (x,), x, wavelet=wavelet, mode=mode)
    check_image(x)
    _check_transform(wavelet, mode)
    return haar_analysis(x)


def idwt2(
    coefficients: Tensor,
    wavelet: str = "haar",
    mode: str = "periodization",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `dwt2`.

    Args:
        coefficients: (B, C, 4, h, w), bands ``cA, cH, cV, cD``.
        wavelet: as given to `dwt2`.
        mode: as given to `dwt2`.
        output_size: (H, W) of the image before an odd side was extended; by default (2h, 2w).

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: not four bands, or an `output_size` that `dwt2` could not have started from.

    Guarantees:
        ``idwt2(dwt2(x), output_size=x.shape[-2:])`` is `x` to the dtype's rounding, and on even
        sizes `idwt2` is the transpose of `dwt2` (tests/properties/test_haar_laws.py).
    """
    if has_torch_function((coefficients,)):
        return handle_torch_function(
            idwt2,
            (coefficients,),
            coefficients,
            wavelet=wavelet,
            mode=mode,
            output_size=output_size,
        )
    _check_bands(coefficients, "coefficients", 4)
    _check_transform(wavelet, mode)
    return _crop(haar_synthesis(coefficients), output_size)


def _check_level(level: int | None, height: int, width: int) -> int:
    deepest = dwt_max_level(height, width)
    if level is None:
        return deepest
    check_at_least("level", level, 0)
    if level > deepest:
        fail("level", f"at most {deepest} for a side of {min(height, width)} pixels", level)
    return level


def wavedec2(
    x: Tensor, wavelet: str = "haar", mode: str = "periodization", level: int | None = None
) -> Pyramid:
    """Multi-level decomposition: `dwt2` again and again on the approximation.

    Args:
        x: images (B, C, H, W).
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: number of levels, by default as many as the shorter side allows; 0 gives the
            image itself as `approx`.

    Returns:
        A `Pyramid`; its details come coarse to fine.

    Raises:
        ValueError: more levels than the shorter side allows, or what `dwt2` refuses.

    Guarantees:
        Equal to ``pywt.wavedec2``, inverted by `waverec2`; energy kept where every level is even
        (tests/properties/test_haar_laws.py).
    """
    check_image(x)
    level = _check_level(level, x.shape[-2], x.shape[-1])
    _check_transform(wavelet, mode)
    if not has_torch_function((x,)):  # a mode that counts wants to see every step
        return Pyramid(*haar_pyramid_analysis(x, level))
    approx, details = x, []
    for _ in range(level):
        bands = dwt2(approx, wavelet, mode)
        approx = bands[:, :, 0]
        details.append(bands[:, :, 1:])
    return Pyramid(approx, tuple(reversed(details)))


def waverec2(
    pyramid: Pyramid,
    wavelet: str = "haar",
    mode: str = "periodization",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `wavedec2`.

    Args:
        pyramid: what `wavedec2` gave, or any ``(approx, details)`` of fitting shapes.
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        output_size: (H, W) of the original image; needed only where a side was odd.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: details that do not fit the approximation of their level.

    Guarantees:
        ``waverec2(wavedec2(x), output_size=x.shape[-2:])`` is `x` to the dtype's rounding
        (tests/properties/test_haar_laws.py).
    """
    approx, details = pyramid
    check_image(approx, "pyramid.approx")
    for index, bands in enumerate(details):
        name = f"pyramid.details[{index}]"
        _check_bands(bands, name, 3)
        height, width = bands.shape[-2:]
        # A level of odd size was extended by one: what was reconstructed above may be one larger.
        approx = _crop_named(approx, (height, width), name)
        approx = idwt2(torch.cat([approx[:, :, None], bands], dim=2), wavelet, mode)
    return _crop(approx, output_size)


def _crop_named(approx: Tensor, size: tuple[int, int], argument: str) -> Tensor:
    height, width = size
    if not (0 <= approx.shape[-2] - height <= 1 and 0 <= approx.shape[-1] - width <= 1):
        fail(argument, f"details of {tuple(approx.shape[-2:])} or one below on a side", size)
    return approx[..., :height, :width]


def wavepacket2(
    x: Tensor, wavelet: str = "haar", mode: str = "periodization", level: int = 1
) -> Tensor:
    """Full wavelet packet: every band is split again at every level.

    Args:
        x: images (B, C, H, W).
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: number of levels; one packet coefficient stands for ``2**level`` pixels a side.

    Returns:
        (B, C, 4**level, h, w). Band ``i`` written in base 4 is PyWavelets' path from the first
        level on, with the digits 0 to 3 for ``a, h, v, d`` (natural order).

    Raises:
        ValueError: more levels than the shorter side allows, or what `dwt2` refuses.

    Guarantees:
        Equal to ``pywt.WaveletPacket2D``; for sizes that ``2**level`` divides, an orthonormal
        change of basis of each block of ``2**level`` pixels a side
        (tests/properties/test_haar_laws.py).
    """
    check_image(x)
    level = _check_level(level, x.shape[-2], x.shape[-1])
    bands = x
    for _ in range(level):
        bands = dwt2(bands, wavelet, mode).flatten(1, 2)
    return bands.unflatten(1, (x.shape[1], 4**level))


def iwavepacket2(
    packets: Tensor,
    wavelet: str = "haar",
    mode: str = "periodization",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `wavepacket2`.

    Args:
        packets: (B, C, 4**level, h, w); the level is read off the number of bands.
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        output_size: (H, W) of the original image; needed where a side was odd at some level.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: a number of bands that is no power of four, or an `output_size` that does not
            lead to these packets.

    Guarantees:
        ``iwavepacket2(wavepacket2(x, level=l), output_size=x.shape[-2:])`` is `x`
        (tests/properties/test_haar_laws.py).
    """
    bands = packets.shape[2] if isinstance(packets, Tensor) and packets.ndim == 5 else 0
    level = (bands.bit_length() - 1) // 2
    if bands == 0 or 4**level != bands:
        shape = tuple(getattr(packets, "shape", ()))
        fail("packets", "shape (B, C, 4**level, h, w)", f"shape {shape}")
    height, width = packets.shape[-2:]
    sizes = _sizes_by_level(output_size or (height << level, width << level), level)
    if sizes[-1] != (height, width):
        fail("output_size", f"a size that {level} halvings take to {(height, width)}", output_size)
    x = packets.flatten(1, 2)
    for size in reversed(sizes[:-1]):
        x = idwt2(x.unflatten(1, (-1, 4)), wavelet, mode, output_size=size)
    return x


def _sizes_by_level(size: tuple[int, int], level: int) -> list[tuple[int, int]]:
    sizes = [(int(size[0]), int(size[1]))]
    for _ in range(level):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes
