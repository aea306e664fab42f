"""Multi-level decomposition: the approximation of a level is the image of the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.checks import check_at_least, check_grid, fail
from wavevit.wavelets._engine.coefficients import check_bands, check_maps, check_pyramid, crop
from wavevit.wavelets._engine.filtering import in_float32, is_rounded_between
from wavevit.wavelets._engine.haar import haar_pyramid_analysis, haar_pyramid_synthesis
from wavevit.wavelets._engine.kernel_choice import enabled
from wavevit.wavelets._engine.modes import as_mode
from wavevit.wavelets._engine.operators import as_one_operation, is_symbolic, operation
from wavevit.wavelets._engine.symbolic_shapes import certainly, exporting, fixed, take
from wavevit.wavelets.dwt import (
    are_names,
    backward_apart,
    forward_apart,
    fuses_levels,
    one_side,
)
from wavevit.wavelets.filters import FilterBank, Wavelet, filter_bank

__all__ = [
    "Pyramid",
    "check_level",
    "dwt_max_level",
    "wavedec",
    "wavedec2",
    "wavedec3",
    "waverec",
    "waverec2",
    "waverec3",
]


class Pyramid(NamedTuple):
    """A multi-level decomposition.

    Attributes:
        approx: the coarsest approximation, (B, C, h, w); of signals (B, C, l), of volumes
            (B, C, d, h, w).
        details: one tensor per level, coarse to fine as in PyWavelets. Of images each is
            (B, C, 3, h_l, w_l) with the bands ``cH, cV, cD``; of signals (B, C, 1, l_l) with the
            band ``cD``; of volumes (B, C, 7, d_l, h_l, w_l) with the bands
            ``aad, ada, add, daa, dad, dda, ddd`` (see `dwt3`).
    """

    approx: Tensor
    details: tuple[Tensor, ...]


def dwt_max_level(height: int, width: int, filter_length: int = 2) -> int:
    """The deepest useful level of an image.

    Beyond it every coefficient touches the border. PyWavelets' rule: the largest level for which
    ``(filter_length − 1) · 2**level`` is at most the shorter side; for Haar, as often as the
    shorter side halves.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        filter_length: taps of the filters, `FilterBank.length`.

    Raises:
        ValueError: a side below one pixel, or fewer than two taps.
    """
    check_at_least("height", height, 1)
    check_at_least("width", width, 1)
    check_at_least("filter_length", filter_length, 2)
    return _deepest((height, width), filter_length)


def _deepest(sides: Sequence[int], filter_length: int = 2) -> int:
    """`dwt_max_level` of a grid."""
    return max((min(sides) // (filter_length - 1)).bit_length() - 1, 0)


def check_level(level: int | None, sides: Sequence[int], length: int) -> int:
    """The level asked for, or the deepest useful one.

    More than that is allowed, with every coefficient at the border, as long as a side has two
    pixels to halve; PyWavelets warns there.

    Raises:
        ValueError: a level below 0 or above what halving allows; no level in a graph whose sides
            are free, for they can't choose how many results it has.
    """
    if level is None:
        sides = tuple(map(fixed, sides))
        if exporting() and not all(isinstance(side, int) for side in sides):
            fail("level", "a number in an exported graph with symbolic sizes", "None")
        return _deepest(sides, length)
    check_at_least("level", level, 0)
    if any(certainly(side < 2**level) for side in sides):
        shortest = min(sides)
        fail("level", f"at most {_deepest(sides)} for a side of {shortest} pixels", level)
    return level


def _is_rounded_between(x: Tensor) -> bool:
    """Whether all levels of `x` are computed in float32: half precision, of images if no kernel
    takes it."""
    return is_rounded_between(x) if x.ndim == 4 else x.dtype in (torch.float16, torch.bfloat16)


def decompose(x: Tensor, bank: FilterBank, mode: str, level: int) -> Pyramid:
    """`wavedec2`, or that of `x`'s dimensions, without its checks."""
    if level == 0:
        return Pyramid(x.clone(), ())  # a result is never the input: callers write into it
    if _is_rounded_between(x):

        def wide(x: Tensor) -> list[Tensor]:
            approx, details = decompose(x, bank, mode, level)
            return [approx, *details]

        approx, *finer = in_float32(wide, x)
        return Pyramid(approx, tuple(finer))
    if fuses_levels(x, bank, mode):
        return Pyramid(*haar_pyramid_analysis(x, level))
    approx, details = x, []
    for _ in range(level):
        approx, bands = forward_apart(approx, bank, mode)
        details.append(bands)
    return Pyramid(approx, tuple(reversed(details)))


def recompose(
    pyramid: tuple[Tensor, tuple[Tensor, ...]],
    bank: FilterBank,
    mode: str,
    output_size: Sequence[int] | None,
    dims: int = 2,
) -> Tensor:
    """`waverec2`, or that of `dims` dimensions, with a bank."""
    approx, details = pyramid
    check_grid(approx, "pyramid.approx", dims)
    if not details:
        return crop(approx.clone(), output_size, dims=dims)  # as for `decompose`
    if _is_rounded_between(approx):
        for index, bands in enumerate(details):
            check_bands(bands, f"pyramid.details[{index}]", 2**dims - 1, dims)
            check_maps(bands, f"pyramid.details[{index}]", approx)

        def image(approx: Tensor, *details: Tensor) -> list[Tensor]:
            return [recompose((approx, details), bank, mode, output_size, dims)]

        return in_float32(image, approx, *details)[0]
    if fuses_levels(approx, bank, mode):
        coarse: Sequence[int] = approx.shape[-2:]
        for index, bands in enumerate(details):
            size = _fitting(bands, f"pyramid.details[{index}]", approx, coarse)
            coarse = [2 * side for side in size]
        return crop(haar_pyramid_synthesis(approx, details), output_size)
    for index, bands in enumerate(details):
        size = _fitting(bands, f"pyramid.details[{index}]", approx, approx.shape[2:])
        for dim, side in enumerate(size, start=-dims):
            approx = take(approx, dim, 0, side)
        approx = backward_apart(approx, bands, bank, mode)
    return crop(approx, output_size, dims=dims)


def _fitting(bands: Tensor, name: str, approx: Tensor, coarse: Sequence[int]) -> tuple[int, ...]:
    """The size of details that fit what was reconstructed above them, of size `coarse`.

    A level of odd size was extended by one: what was reconstructed may be one larger.
    """
    dims = approx.ndim - 2
    check_bands(bands, name, 2**dims - 1, dims)
    check_maps(bands, name, approx)
    size = tuple(bands.shape[3:])
    for above, side in zip(coarse, size, strict=True):
        if certainly(side > above) or certainly(side < above - 1):
            expected = (
                f"details of {tuple(coarse)} or one below on a side (the inverse needs the wavelet "
                f"and the mode of the decomposition)"
            )
            fail(name, expected, size)
    return size


def wavedec2(
    x: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    level: int | None = None,
) -> Pyramid:
    """Multi-level decomposition: `dwt2` again and again on the approximation.

    Args:
        x: images (B, C, H, W).
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: number of levels, by default as many as are useful (`dwt_max_level`); 0 gives the
            image itself as `approx`.

    Returns:
        A `Pyramid`; its details come coarse to fine.

    Raises:
        ValueError: more levels than the shorter side can be halved, or what `dwt2` refuses.

    Guarantees:
        Equal to ``pywt.wavedec2``, inverted by `waverec2` (tests/properties/test_dwt_laws.py);
        energy kept by orthogonal banks where every level is even
        (tests/properties/test_haar_laws.py). In eager mode on the CPU Haar's kernel allocates its
        output alone, everything else a quarter more (tests/unit/test_wavelet_memory.py).
    """
    if is_symbolic(x):
        return handle_torch_function(wavedec2, (x,), x, wavelet, mode, level)
    return _forth(x, wavelet, mode, level, 2)


def wavedec(
    x: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    level: int | None = None,
) -> Pyramid:
    """Multi-level decomposition of signals: `dwt` again and again on the approximation.

    Args:
        x: signals (B, C, L).
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: see `wavedec2`.

    Returns:
        A `Pyramid`; its details come coarse to fine, each (B, C, 1, l).

    Raises:
        ValueError: more levels than the signal can be halved, or what `dwt` refuses.

    Guarantees:
        Equal to ``pywt.wavedec``, inverted by `waverec`
        (tests/properties/test_signal_and_volume_laws.py).

    Example:
        >>> import torch
        >>> approx, (coarse, fine) = wavedec(torch.ones(1, 1, 16), "db2", level=2)
        >>> approx.shape, fine.shape
        (torch.Size([1, 1, 4]), torch.Size([1, 1, 1, 8]))
    """
    if is_symbolic(x):
        return handle_torch_function(wavedec, (x,), x, wavelet, mode, level)
    return _forth(x, wavelet, mode, level, 1)


def wavedec3(
    x: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    level: int | None = None,
) -> Pyramid:
    """Multi-level decomposition of volumes: `dwt3` again and again on the approximation.

    Args:
        x: volumes (B, C, D, H, W).
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: see `wavedec2`.

    Returns:
        A `Pyramid`; its details come coarse to fine, each (B, C, 7, d, h, w), bands ``aad`` to
        ``ddd`` as `dwt3` orders them.

    Raises:
        ValueError: more levels than the shortest side can be halved, or what `dwt3` refuses.

    Guarantees:
        Equal to ``pywt.wavedecn``, inverted by `waverec3`
        (tests/properties/test_signal_and_volume_laws.py).
    """
    if is_symbolic(x):
        return handle_torch_function(wavedec3, (x,), x, wavelet, mode, level)
    return _forth(x, wavelet, mode, level, 3)


def _forth(x: Tensor, wavelet: Wavelet, mode: str | int, level: int | None, dims: int) -> Pyramid:
    listening = has_torch_function((x,))
    if not listening and as_one_operation() and enabled() and are_names(wavelet, mode):
        approx, *details = _one_wavedec(x, wavelet, mode, level, dims)
        return Pyramid(approx, tuple(details))
    return _wavedec(x, wavelet, mode, level, dims)


def _wavedec(x: Tensor, wavelet: Wavelet, mode: str | int, level: int | None, dims: int) -> Pyramid:
    check_grid(x, dims=dims)
    bank = filter_bank(wavelet)
    level = check_level(level, x.shape[2:], bank.length)
    return decompose(x, bank, as_mode(mode), level)


def _wavedec_flat(x: Tensor, wavelet: str, mode: str, level: int | None, dims: int) -> list[Tensor]:
    approx, details = _wavedec(x, wavelet, mode, level, dims)
    return [approx, *details]


_one_wavedec = operation(
    "wavedec(Tensor x, str wavelet, str mode, int? level, int dims) -> Tensor[]", _wavedec_flat
)


def waverec2(
    pyramid: tuple[Tensor, tuple[Tensor, ...]],
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `wavedec2`.

    Args:
        pyramid: what `wavedec2` gave, or any ``(approx, details)`` of fitting shapes.
        wavelet: that of `wavedec2`. A pyramid holds numbers only: with another wavelet, or with the
            default for a pyramid that is not of Haar, the image is another one, without an error.
            (PyWavelets has no default here.)
        mode: that of `wavedec2`.
        output_size: (H, W) of the original image; needed only where a side was odd.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: details that do not fit the approximation of their level.

    Guarantees:
        ``waverec2(wavedec2(x), output_size=x.shape[-2:])`` is `x` to the dtype's rounding
        (tests/properties/test_dwt_laws.py, tests/properties/test_haar_laws.py). In eager mode on
        the CPU Haar's kernel allocates its output alone, everything else a quarter more
        (tests/unit/test_wavelet_memory.py).
    """
    parts = pyramid if isinstance(pyramid, tuple) else (pyramid,)
    if is_symbolic(*parts):
        return handle_torch_function(waverec2, parts, pyramid, wavelet, mode, output_size)
    return _back(pyramid, wavelet, mode, output_size, 2)


def waverec(
    pyramid: tuple[Tensor, tuple[Tensor, ...]],
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: int | None = None,
) -> Tensor:
    """Inverse of `wavedec`.

    Args:
        pyramid: what `wavedec` gave, or any ``(approx, details)`` of fitting shapes.
        wavelet: that of `wavedec`, see `waverec2`.
        mode: that of `wavedec`.
        output_size: the length L of the original signals; needed only where it was odd.

    Returns:
        Signals (B, C, L).

    Raises:
        ValueError: details that do not fit the approximation of their level.

    Guarantees:
        ``waverec(wavedec(x), output_size=x.shape[-1])`` is `x` to the dtype's rounding
        (tests/properties/test_signal_and_volume_laws.py).
    """
    parts = pyramid if isinstance(pyramid, tuple) else (pyramid,)
    if is_symbolic(*parts):
        return handle_torch_function(waverec, parts, pyramid, wavelet, mode, output_size)
    return _back(pyramid, wavelet, mode, one_side(output_size), 1)


def waverec3(
    pyramid: tuple[Tensor, tuple[Tensor, ...]],
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: tuple[int, int, int] | None = None,
) -> Tensor:
    """Inverse of `wavedec3`.

    Args:
        pyramid: what `wavedec3` gave, or any ``(approx, details)`` of fitting shapes.
        wavelet: that of `wavedec3`, see `waverec2`.
        mode: that of `wavedec3`.
        output_size: (D, H, W) of the original volume; needed only where a side was odd.

    Returns:
        Volumes (B, C, D, H, W).

    Raises:
        ValueError: details that do not fit the approximation of their level.

    Guarantees:
        ``waverec3(wavedec3(x), output_size=x.shape[-3:])`` is `x` to the dtype's rounding
        (tests/properties/test_signal_and_volume_laws.py).
    """
    parts = pyramid if isinstance(pyramid, tuple) else (pyramid,)
    if is_symbolic(*parts):
        return handle_torch_function(waverec3, parts, pyramid, wavelet, mode, output_size)
    return _back(pyramid, wavelet, mode, output_size, 3)


def _back(
    pyramid: tuple[Tensor, tuple[Tensor, ...]],
    wavelet: Wavelet,
    mode: str | int,
    output_size: Sequence[int] | None,
    dims: int,
) -> Tensor:
    approx, details = check_pyramid(pyramid)
    listening = has_torch_function((approx, *details))
    if not listening and as_one_operation() and enabled() and are_names(wavelet, mode):
        x = _one_waverec(approx, list(details), wavelet, mode, dims)
        return crop(x, output_size, dims=dims)
    return recompose(pyramid, filter_bank(wavelet), as_mode(mode), output_size, dims)


def _waverec(approx: Tensor, details: list[Tensor], wavelet: str, mode: str, dims: int) -> Tensor:
    return recompose((approx, tuple(details)), filter_bank(wavelet), as_mode(mode), None, dims)


_one_waverec = operation(
    "waverec(Tensor approx, Tensor[] details, str wavelet, str mode, int dims) -> Tensor", _waverec
)
