"""The undecimated transform: no sample is dropped, so every circular shift is kept.

Level `j` filters the approximation of level `j − 1` with the bank's filters, ``2**(j − 1) − 1``
zeros between their taps (à trous), on a circle of any size:

    c_b[k] = Σ_i g_b[i] x[k + d (i − L/2 + 1)]      d = 2**(j − 1), indices modulo the side

The inverse correlates with the synthesis filters and halves on each axis: the mean of the two
inverses that decimation at even and at odd places would have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.checks import check_at_least, check_image, fail
from wavevit.wavelets._engine.bank_maps import BankMap, fits
from wavevit.wavelets._engine.filtering import in_compute_dtype
from wavevit.wavelets._engine.haar import haar_undecimated, haar_undecimated_inverse
from wavevit.wavelets._engine.kernel_choice import has_kernel
from wavevit.wavelets._engine.modes import extend
from wavevit.wavelets._engine.operators import is_symbolic
from wavevit.wavelets._engine.symbolic_shapes import certainly, fixed
from wavevit.wavelets._engine.undecimated_maps import UndecimatedMap, one_level
from wavevit.wavelets.filters import FilterBank, Wavelet, filter_bank

__all__ = ["check_levels", "filter_axis", "iswt2", "swt2"]


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
        without a kernel half an image more; several levels of filters other than Haar take one
        level beside it, with a gradient too (tests/unit/test_wavelet_memory.py).

    Source:
        Nason & Silverman 1995; Holschneider et al. 1989 (à trous); conventions of PyWavelets 1.9.

    Example:
        >>> import torch
        >>> swt2(torch.ones(1, 3, 5, 7), "db2", level=2).shape
        torch.Size([1, 3, 2, 4, 5, 7])
    """
    if is_symbolic(x):
        return handle_torch_function(swt2, (x,), x, wavelet, level)
    check_image(x)
    check_at_least("level", level, 1)
    return forward_levels(x, filter_bank(wavelet), level)


def forward_levels(x: Tensor, bank: FilterBank, level: int, mode: str = "periodic") -> Tensor:
    """`swt2` without its checks.

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
            return UndecimatedMap(bank, mode, (image.shape[-2], image.shape[-1]), level).apply(
                image
            )[0]
        levels: list[Tensor] = []
        for j in range(level):
            levels.append(step(image, 2**j))
            image = levels[-1][:, :, 0]
        return torch.stack(levels[::-1], dim=2)

    return in_compute_dtype(x, compute)


def _is_haars(x: Tensor, bank: FilterBank) -> bool:
    """Whether Haar's own functions are the ones for `x`: they have a kernel, or nothing `fits`."""
    return bank.is_haar and (has_kernel(x) or not fits(x))


def _step(image: Tensor, bank: FilterBank, mode: str) -> Callable[[Tensor, int], Tensor]:
    """What maps (B, C, H, W) and the distance between taps to (B, C, 4, H, W), fast for `image`."""
    if fits(image):
        return lambda x, spacing: _map(x, bank, "analysis", spacing, mode).apply(x)[0]
    g = bank.taps("analysis", image.dtype, image.device)

    def convolve(x: Tensor, spacing: int) -> Tensor:
        bands = filter_axis(filter_axis(x, g, -1, spacing, mode), g, -2, spacing, mode)
        return bands.unflatten(1, (x.shape[1], 4))

    return convolve


def _map(x: Tensor, bank: FilterBank, which: str, spacing: int, mode: str = "periodic") -> BankMap:
    return one_level(bank, which, spacing, mode, (x.shape[-2], x.shape[-1]))


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


def check_levels(coefficients: Tensor) -> None:
    """Checks what `iswt2` is given.

    Raises:
        ValueError: wrong type, rank or dtype, not four bands, no level, an empty side.
    """
    shape = tuple(getattr(coefficients, "shape", ()))
    if len(shape) != 6 or fixed(shape[3]) != 4 or any(certainly(n == 0) for n in shape[2:]):
        expected = "a tensor of shape (B, C, level, 4, H, W), no level or side empty"
        fail("coefficients", expected, f"shape {shape}")
    if not coefficients.is_floating_point():
        fail("coefficients", "a floating dtype", coefficients.dtype)


def backward_levels(c: Tensor, bank: FilterBank) -> Tensor:
    """`iswt2` without its checks."""
    if has_torch_function((c,)):
        return handle_torch_function(backward_levels, (c,), c, bank)

    def compute(c: Tensor) -> Tensor:
        approx = c[:, :, 0, 0]
        level = fixed(c.shape[2])
        loops = fits(c) and not _is_haars(c, bank)
        g = None if loops else bank.taps("synthesis", c.dtype, c.device).flip(-1) / 2
        for index in range(level):
            spacing, details = 2 ** (level - 1 - index), c[:, :, index, 1:]
            if g is None:
                transposed = _map(approx, bank, "synthesis", spacing).transpose
                approx = transposed.apply(approx, details)[0] / 4
                continue
            bands = torch.cat([approx[:, :, None], details], dim=2)
            if bank.is_haar:
                approx = haar_undecimated_inverse(bands, spacing)
                continue
            bands = bands.flatten(1, 2)
            approx = _merge(_merge(bands, g, -2, spacing), g, -1, spacing)
        return approx

    return in_compute_dtype(c, compute)


def _kernel(g: Tensor, dim: int) -> Tensor:
    return g[:, None, :] if dim == -1 else g[:, :, None]


def _spacing(spacing: int, dim: int) -> tuple[int, int]:
    return (1, spacing) if dim == -1 else (spacing, 1)


def filter_axis(x: Tensor, g: Tensor, dim: int, spacing: int, mode: str) -> Tensor:
    """(B, C, H, W) to (B, 2C, H, W): each channel becomes its low and its high band."""
    half = g.shape[1] // 2
    x = extend(x, dim, spacing * (half - 1), spacing * half, mode)
    channels = x.shape[1]
    kernel = _kernel(g, dim)[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(x, kernel, dilation=_spacing(spacing, dim), groups=channels)


def _merge(c: Tensor, g: Tensor, dim: int, spacing: int) -> Tensor:
    """(B, 2C, H, W) to (B, C, H, W): the transpose of `filter_axis`, with the synthesis taps."""
    half = g.shape[1] // 2
    c = extend(c, dim, spacing * half, spacing * (half - 1), "periodic")
    channels = c.shape[1] // 2
    kernel = _kernel(g, dim)[None].repeat(channels, 1, 1, 1)
    return F.conv2d(c, kernel, dilation=_spacing(spacing, dim), groups=channels)
