"""The undecimated transform in one, two and three dimensions: every circular shift is kept.

No sample is dropped. Level `j` filters the approximation of level `j − 1` with the bank's filters,
``2**(j − 1) − 1`` zeros between their taps (à trous), on a circle of any size:

    c_b[k] = Σ_i g_b[i] x[k + d (i − L/2 + 1)]      d = 2**(j − 1), indices modulo the side

The inverse correlates with the synthesis filters and halves on each axis: the mean of the two
inverses that decimation at even and at odd places would have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.checks import check_at_least, check_grid, fail
from wavevit.wavelets._engine.bank_maps import BankMap, fits
from wavevit.wavelets._engine.coefficients import sides, split_order
from wavevit.wavelets._engine.filtering import convolve, in_compute_dtype, join
from wavevit.wavelets._engine.haar import haar_undecimated, haar_undecimated_inverse
from wavevit.wavelets._engine.kernel_choice import has_kernel
from wavevit.wavelets._engine.modes import extend
from wavevit.wavelets._engine.operators import is_symbolic
from wavevit.wavelets._engine.symbolic_shapes import certainly, fixed
from wavevit.wavelets._engine.undecimated_maps import UndecimatedMap, one_level
from wavevit.wavelets.filters import FilterBank, Wavelet, filter_bank

__all__ = ["check_levels", "filter_axis", "iswt", "iswt2", "iswt3", "swt", "swt2", "swt3"]


def swt2(x: Tensor, wavelet: Wavelet = "haar", level: int = 1) -> Tensor:
    """Undecimated (stationary) 2-D wavelet transform, circular borders.

    Args:
        x: images (B, C, H, W), any floating dtype and size, also those that ``2**level`` does not
            divide, which PyWavelets refuses.
        wavelet: see `dwt2`.
        level: number of levels, at least 1.

    Returns:
        (B, C, level, 4, H, W), levels coarse to fine as in PyWavelets, bands ``cA, cH, cV, cD``.
        Coefficients are not normalised (PyWavelets' ``norm=False``): with an orthogonal bank a
        level has 4 times the energy of the approximation that it came from.

    Raises:
        ValueError: wrong rank, integer images, an unknown wavelet, a level below 1.

    Guarantees:
        Equal to ``pywt.swt2`` where PyWavelets takes the size; commutes with every circular
        shift; inverted by `iswt2`; right derivatives of every order
        (tests/properties/test_swt_laws.py). One level allocates its output alone, four images, and
        without a kernel half an image more; several levels take one level beside it, with a
        gradient too, except those of Haar's kernel, which take nothing
        (tests/unit/test_wavelet_memory.py).

    Source:
        Nason & Silverman 1995; Holschneider et al. 1989 (à trous); conventions of PyWavelets 1.9
        and 1.10.

    Example:
        >>> import torch
        >>> swt2(torch.ones(1, 3, 5, 7), "db2", level=2).shape
        torch.Size([1, 3, 2, 4, 5, 7])
    """
    if is_symbolic(x):
        return handle_torch_function(swt2, (x,), x, wavelet, level)
    return _forth(x, wavelet, level, 2)


def swt(x: Tensor, wavelet: Wavelet = "haar", level: int = 1) -> Tensor:
    """Undecimated (stationary) 1-D wavelet transform, circular borders.

    Args:
        x: signals (B, C, L), any floating dtype and length.
        wavelet: see `dwt2`.
        level: number of levels, at least 1.

    Returns:
        (B, C, level, 2, L), levels coarse to fine as in PyWavelets, bands ``cA, cD``; not
        normalised: with an orthogonal bank a level has twice the energy of the approximation
        that it came from.

    Raises:
        ValueError: wrong rank, integer signals, an unknown wavelet, a level below 1.

    Guarantees:
        Equal to ``pywt.swt`` where PyWavelets takes the length; in all else as `swt2`
        (tests/properties/test_signal_and_volume_laws.py).

    Source:
        See `swt2`.

    Example:
        >>> import torch
        >>> swt(torch.ones(1, 3, 7), "db2", level=2).shape
        torch.Size([1, 3, 2, 2, 7])
    """
    if is_symbolic(x):
        return handle_torch_function(swt, (x,), x, wavelet, level)
    return _forth(x, wavelet, level, 1)


def swt3(x: Tensor, wavelet: Wavelet = "haar", level: int = 1) -> Tensor:
    """Undecimated (stationary) 3-D wavelet transform, circular borders.

    Args:
        x: volumes (B, C, D, H, W), any floating dtype and size.
        wavelet: see `dwt2`.
        level: number of levels, at least 1.

    Returns:
        (B, C, level, 8, D, H, W), levels coarse to fine, bands ``aaa`` to ``ddd`` as `dwt3` orders
        them; not normalised: with an orthogonal bank a level has 8 times the energy of the
        approximation that it came from.

    Raises:
        ValueError: wrong rank, integer volumes, an unknown wavelet, a level below 1.

    Guarantees:
        Equal to ``pywt.swtn`` where PyWavelets takes the size; in all else as `swt2`
        (tests/properties/test_signal_and_volume_laws.py).

    Source:
        See `swt2`.
    """
    if is_symbolic(x):
        return handle_torch_function(swt3, (x,), x, wavelet, level)
    return _forth(x, wavelet, level, 3)


def _forth(x: Tensor, wavelet: Wavelet, level: int, dims: int) -> Tensor:
    check_grid(x, dims=dims)
    check_at_least("level", level, 1)
    return forward_levels(x, filter_bank(wavelet), level)


def forward_levels(x: Tensor, bank: FilterBank, level: int, mode: str = "periodic") -> Tensor:
    """`swt2`, or that of `x`'s dimensions, without its checks.

    Only on the circle, mode ``"periodic"``, does the transform keep shifts and have an inverse.
    Overridable (`torch.overrides`), like `backward_levels`: so a counter sees every call.
    """
    if has_torch_function((x,)):
        return handle_torch_function(forward_levels, (x,), x, bank, level, mode)

    def compute(image: Tensor) -> Tensor:
        if mode == "periodic" and _is_haars(image, bank):
            return haar_undecimated(image, level)
        step = _step(image, bank, mode)
        if level == 1:
            return step(image, 1)[:, :, None]
        if fits(image) and not torch.compiler.is_compiling():
            return UndecimatedMap(bank, mode, tuple(image.shape[2:]), level).apply(image)[0]
        levels: list[Tensor] = []
        for j in range(level):
            levels.append(step(image, 2**j))
            image = levels[-1][:, :, 0]
        return torch.stack(levels[::-1], dim=2)

    return in_compute_dtype(x, compute)


def _is_haars(x: Tensor, bank: FilterBank) -> bool:
    """Whether Haar's own functions are the ones for images, which have a kernel, or nothing `fits`.

    `x` is the images, or an approximation.
    """
    return x.ndim == 4 and bank.is_haar and (has_kernel(x) or not fits(x))


def _step(image: Tensor, bank: FilterBank, mode: str) -> Callable[[Tensor, int], Tensor]:
    """What maps (B, C, H, W) and the distance between taps to (B, C, 4, H, W), fast for `image`.

    Signals and volumes likewise, with their 2 or 8 bands.
    """
    if fits(image):
        return lambda x, spacing: _map(x, bank, "analysis", spacing, mode).apply(x)[0]
    g = bank.taps("analysis", image.dtype, image.device)

    def convolve(x: Tensor, spacing: int) -> Tensor:
        bands = x
        for dim in split_order(x.ndim - 2):
            bands = filter_axis(bands, g, dim, spacing, mode)
        return bands.unflatten(1, (x.shape[1], 2 ** (x.ndim - 2)))

    return convolve


def _map(x: Tensor, bank: FilterBank, which: str, spacing: int, mode: str = "periodic") -> BankMap:
    return one_level(bank, which, spacing, mode, tuple(x.shape[2:]))


def iswt2(coefficients: Tensor, wavelet: Wavelet = "haar") -> Tensor:
    """Inverse of `swt2`.

    Args:
        coefficients: (B, C, level, 4, H, W) as `swt2` gives them. Approximations of the levels
            below the coarsest are not read: they follow from it and the details.
        wavelet: as given to `swt2`.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: another shape, an integer dtype or an unknown wavelet.

    Guarantees:
        ``iswt2(swt2(x))`` is `x` to the dtype's rounding at any size; equal to ``pywt.iswt2``,
        also for coefficients that are no image's transform (tests/properties/test_swt_laws.py).
    """
    if is_symbolic(coefficients):
        return handle_torch_function(iswt2, (coefficients,), coefficients, wavelet)
    check_levels(coefficients)
    return backward_levels(coefficients, filter_bank(wavelet))


def iswt(coefficients: Tensor, wavelet: Wavelet = "haar") -> Tensor:
    """Inverse of `swt`.

    Args:
        coefficients: (B, C, level, 2, L) as `swt` gives them; see `iswt2`.
        wavelet: as given to `swt`.

    Returns:
        Signals (B, C, L).

    Raises:
        ValueError: another shape, an integer dtype or an unknown wavelet.

    Guarantees:
        ``iswt(swt(x))`` is `x` to the dtype's rounding at any length; equal to ``pywt.iswt``
        (tests/properties/test_signal_and_volume_laws.py).
    """
    if is_symbolic(coefficients):
        return handle_torch_function(iswt, (coefficients,), coefficients, wavelet)
    check_levels(coefficients, 1)
    return backward_levels(coefficients, filter_bank(wavelet))


def iswt3(coefficients: Tensor, wavelet: Wavelet = "haar") -> Tensor:
    """Inverse of `swt3`.

    Args:
        coefficients: (B, C, level, 8, D, H, W) as `swt3` gives them; see `iswt2`.
        wavelet: as given to `swt3`.

    Returns:
        Volumes (B, C, D, H, W).

    Raises:
        ValueError: another shape, an integer dtype or an unknown wavelet.

    Guarantees:
        ``iswt3(swt3(x))`` is `x` to the dtype's rounding at any size; equal to ``pywt.iswtn``
        (tests/properties/test_signal_and_volume_laws.py).
    """
    if is_symbolic(coefficients):
        return handle_torch_function(iswt3, (coefficients,), coefficients, wavelet)
    check_levels(coefficients, 3)
    return backward_levels(coefficients, filter_bank(wavelet))


def check_levels(coefficients: Tensor, dims: int = 2) -> None:
    """Checks what `iswt2` is given, or the inverse of `dims` dimensions.

    Raises:
        ValueError: wrong type, rank or dtype, another number of bands, no level, an empty side.
    """
    shape, bands = tuple(getattr(coefficients, "shape", ())), 2**dims
    wrong = len(shape) != 4 + dims or fixed(shape[3]) != bands
    if wrong or any(certainly(n == 0) for n in shape[2:]):
        named = f"(B, C, level, {bands}, {sides(dims).upper()})"
        expected = f"a tensor of shape {named}, no level or side empty"
        fail("coefficients", expected, f"shape {shape}")
    if not coefficients.is_floating_point():
        fail("coefficients", "a floating dtype", coefficients.dtype)


def backward_levels(c: Tensor, bank: FilterBank) -> Tensor:
    """`iswt2`, or that of `c`'s dimensions, without its checks."""
    if has_torch_function((c,)):
        return handle_torch_function(backward_levels, (c,), c, bank)

    def compute(c: Tensor) -> Tensor:
        approx = c[:, :, 0, 0]
        level, order = fixed(c.shape[2]), split_order(approx.ndim - 2)
        loops = fits(c) and not _is_haars(approx, bank)
        g = None if loops else bank.taps("synthesis", c.dtype, c.device).flip(-1) / 2
        for index in range(level):
            spacing, details = 2 ** (level - 1 - index), c[:, :, index, 1:]
            if g is None:
                transposed = _map(approx, bank, "synthesis", spacing).transpose
                approx = transposed.apply(approx, details)[0] / 2 ** len(order)
                continue
            bands = torch.cat([approx[:, :, None], details], dim=2)
            if bank.is_haar and approx.ndim == 4:
                approx = haar_undecimated_inverse(bands, spacing)
                continue
            approx = bands.flatten(1, 2)
            for dim in reversed(order):
                approx = _merge(approx, g, dim, spacing)
        return approx

    return in_compute_dtype(c, compute)


def filter_axis(x: Tensor, g: Tensor, dim: int, spacing: int, mode: str) -> Tensor:
    """(B, C, H, W) to (B, 2C, H, W): each channel becomes its low and its high band."""
    half = g.shape[1] // 2
    x = extend(x, dim, spacing * (half - 1), spacing * half, mode)
    return convolve(x, g, dim, spacing=spacing)


def _merge(c: Tensor, g: Tensor, dim: int, spacing: int) -> Tensor:
    """(B, 2C, H, W) to (B, C, H, W): the transpose of `filter_axis`, with the synthesis taps."""
    half = g.shape[1] // 2
    c = extend(c, dim, spacing * half, spacing * (half - 1), "periodic")
    return join(c, g, dim, spacing)
