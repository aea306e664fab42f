"""Multi-level decomposition: the approximation of a level is the image of the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.checks import check_at_least, check_image, fail
from wavevit.wavelets._engine.coefficients import check_bands, check_maps, crop
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
)
from wavevit.wavelets.filters import FilterBank, Wavelet, filter_bank

__all__ = ["Pyramid", "check_level", "dwt_max_level", "wavedec2", "waverec2"]


class Pyramid(NamedTuple):
    """A multi-level decomposition.

    Attributes:
        approx: the coarsest approximation, (B, C, h, w).
        details: one tensor per level, coarse to fine as in PyWavelets, each (B, C, 3, h_l, w_l)
            with the bands ``cH, cV, cD``.
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
        ValueError: fewer than two taps.
    """
    check_at_least("filter_length", filter_length, 2)
    return max((min(height, width) // (filter_length - 1)).bit_length() - 1, 0)


def check_level(level: int | None, height: int, width: int, length: int) -> int:
    """The level asked for, or the deepest useful one.

    More than that is allowed, with every coefficient at the border, as long as a side has two
    pixels to halve; PyWavelets warns there.

    Raises:
        ValueError: a level below 0 or above what halving allows; no level in a graph whose sides
            are free, for they can't choose how many results it has.
    """
    if level is None:
        height, width = fixed(height), fixed(width)
        if exporting() and not (isinstance(height, int) and isinstance(width, int)):
            fail("level", "a number in an exported graph with free sizes", "None")
        return dwt_max_level(height, width, length)
    check_at_least("level", level, 0)
    if certainly(height < 2**level) or certainly(width < 2**level):
        deepest = dwt_max_level(height, width)
        fail("level", f"at most {deepest} for a side of {min(height, width)} pixels", level)
    return level


def decompose(x: Tensor, bank: FilterBank, mode: str, level: int) -> Pyramid:
    """`wavedec2` without its checks."""
    if level == 0:
        return Pyramid(x.clone(), ())  # a result is never the input: callers write into it
    if is_rounded_between(x):

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
    output_size: tuple[int, int] | None,
) -> Tensor:
    """`waverec2` with a bank."""
    approx, details = pyramid
    check_image(approx, "pyramid.approx")
    if not details:
        return crop(approx.clone(), output_size)  # as for `decompose`
    if is_rounded_between(approx):
        for index, bands in enumerate(details):
            check_bands(bands, f"pyramid.details[{index}]", 3)
            check_maps(bands, f"pyramid.details[{index}]", approx)

        def image(approx: Tensor, *details: Tensor) -> list[Tensor]:
            return [recompose((approx, details), bank, mode, output_size)]

        return in_float32(image, approx, *details)[0]
    if fuses_levels(approx, bank, mode):
        coarse: Sequence[int] = approx.shape[-2:]
        for index, bands in enumerate(details):
            height, width = _fitting(bands, f"pyramid.details[{index}]", approx, coarse)
            coarse = (2 * height, 2 * width)
        return crop(haar_pyramid_synthesis(approx, details), output_size)
    for index, bands in enumerate(details):
        height, width = _fitting(bands, f"pyramid.details[{index}]", approx, approx.shape[-2:])
        approx = take(take(approx, -2, 0, height), -1, 0, width)
        approx = backward_apart(approx, bands, bank, mode)
    return crop(approx, output_size)


def _fitting(bands: Tensor, name: str, approx: Tensor, coarse: Sequence[int]) -> tuple[int, int]:
    """The size of details that fit what was reconstructed above them, of size `coarse`.

    A level of odd size was extended by one: what was reconstructed may be one larger.
    """
    check_bands(bands, name, 3)
    check_maps(bands, name, approx)
    height, width = bands.shape[-2:]
    for above, side in zip(coarse, (height, width), strict=True):
        if certainly(side > above) or certainly(side < above - 1):
            fail(name, f"details of {tuple(coarse)} or one below on a side", (height, width))
    return height, width


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
        (tests/properties/test_haar_laws.py); memory as `dwt2`'s of the first level
        (tests/unit/test_wavelet_memory.py).
    """
    if is_symbolic(x):
        return handle_torch_function(wavedec2, (x,), x, wavelet, mode, level)
    listening = has_torch_function((x,))
    if not listening and as_one_operation() and enabled() and are_names(wavelet, mode):
        approx, *details = _one_wavedec2(x, wavelet, mode, level)
        return Pyramid(approx, tuple(details))
    return _wavedec2(x, wavelet, mode, level)


def _wavedec2(x: Tensor, wavelet: Wavelet, mode: str | int, level: int | None) -> Pyramid:
    check_image(x)
    bank = filter_bank(wavelet)
    level = check_level(level, x.shape[-2], x.shape[-1], bank.length)
    return decompose(x, bank, as_mode(mode), level)


def _wavedec2_flat(x: Tensor, wavelet: str, mode: str, level: int | None) -> list[Tensor]:
    approx, details = _wavedec2(x, wavelet, mode, level)
    return [approx, *details]


_one_wavedec2 = operation(
    "wavedec2(Tensor x, str wavelet, str mode, int? level) -> Tensor[]", _wavedec2_flat
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
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        output_size: (H, W) of the original image; needed only where a side was odd.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: details that do not fit the approximation of their level.

    Guarantees:
        ``waverec2(wavedec2(x), output_size=x.shape[-2:])`` is `x` to the dtype's rounding
        (tests/properties/test_dwt_laws.py, tests/properties/test_haar_laws.py). Haar's kernel
        allocates its output alone, other filters a quarter more; plain Haar, which joins the bands
        of a level, 2.25 times that (tests/unit/test_wavelet_memory.py).
    """
    parts = pyramid if isinstance(pyramid, tuple) else (pyramid,)
    if is_symbolic(*parts):
        return handle_torch_function(waverec2, parts, pyramid, wavelet, mode, output_size)
    approx, details = pyramid
    listening = has_torch_function((approx, *details))
    if not listening and as_one_operation() and enabled() and are_names(wavelet, mode):
        return crop(_one_waverec2(approx, list(details), wavelet, mode), output_size)
    return recompose(pyramid, filter_bank(wavelet), as_mode(mode), output_size)


def _waverec2(approx: Tensor, details: list[Tensor], wavelet: str, mode: str) -> Tensor:
    return recompose((approx, tuple(details)), filter_bank(wavelet), as_mode(mode), None)


_one_waverec2 = operation(
    "waverec2(Tensor approx, Tensor[] details, str wavelet, str mode) -> Tensor", _waverec2
)
