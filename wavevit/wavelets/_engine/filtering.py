"""One level of a separable two-channel filter bank, and its adjoint, on every axis of a grid.

A grid is a signal (B, C, L), an image (B, C, H, W) or a volume (B, C, D, H, W).

With `g` the taps in correlation order and `x̃` the extended signal, the two maps along an axis are

    analysis     c_b[k] = Σ_i g_b[i] x̃[2k + i]
    synthesis    ỹ[m]   = Σ_b Σ_k g_b[m − 2k] c_b[k]        its transpose, cropped to the signal

and each has three implementations that agree to rounding; the fastest one is chosen:

    a `BankMap`                     on the CPU, `_engine.bank_maps`
    strided grouped convolution     elsewhere for large images, and in every exported graph
    two dense matrix products       elsewhere for small images in eager mode: the matrix of a side,
                                    border included, is the transform of the identity; images only

The last two are torch's own operations, so derivatives of every order and direction are torch's.
Half precision is computed in float32 and rounded once, at the end. Autocast is switched off,
because rounding filters to bfloat16 would cost the reconstruction two digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._engine.bank_maps import Bank, BankMap, decimated, fits
from wavevit.wavelets._engine.bank_pieces import dense_pays
from wavevit.wavelets._engine.coefficients import split_order
from wavevit.wavelets._engine.haar_channels_last import is_channels_last
from wavevit.wavelets._engine.kernel_choice import has_kernel
from wavevit.wavelets._engine.linear_maps import outside_autocast
from wavevit.wavelets._engine.modes import COMPUTED, extend
from wavevit.wavelets._engine.pieces import by_planes
from wavevit.wavelets._engine.symbolic_shapes import exporting
from wavevit.wavelets._engine.tensor_cache import remember

if TYPE_CHECKING:
    from wavevit.wavelets.filters import FilterBank

__all__ = [
    "analyse",
    "analyse_apart",
    "convolve",
    "in_compute_dtype",
    "in_float32",
    "is_rounded_between",
    "join",
    "synthesise",
    "synthesise_joined",
]

_DENSE_IMAGES = 4  # with fewer, making the matrix costs more than it saves


def in_compute_dtype(
    x: Tensor, compute: Callable[[Tensor], Tensor], whole_images: bool = False
) -> Tensor:
    """Runs `compute` on `x` in at least float32, outside autocast, and returns to `x`'s dtype.

    `compute` maps (b, c, …) to (b, c, …), planes apart from each other unless `whole_images`.
    """
    with outside_autocast(x):
        if x.dtype in (torch.float32, torch.float64):
            return compute(x)
        return in_float32(lambda x: [compute(x)], x, whole_images=whole_images)[0]


def in_float32(
    compute: Callable[..., Sequence[Tensor]], *tensors: Tensor, whole_images: bool = False
) -> Sequence[Tensor]:
    """`compute` of half precision, rounded once; in pieces, so that no whole batch is float32."""
    dtype = tensors[0].dtype

    def rounded(*pieces: Tensor) -> list[Tensor]:
        return [part.to(dtype) for part in compute(*(x.float() for x in pieces))]

    return by_planes(rounded, *tensors, whole_images=whole_images or is_channels_last(tensors[0]))


def is_rounded_between(x: Tensor) -> bool:
    """Whether Haar's steps would round `x` at each: half precision that no kernel takes."""
    half = x.dtype in (torch.float16, torch.bfloat16)
    return half and (not has_kernel(x) or is_channels_last(x))


def analyse(x: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """One level, (B, C, H, W) to (B, C, 4, h, w); signals have 2 bands and volumes 8."""

    def compute(x: Tensor) -> Tensor:
        if fits(x):
            return _analysed(x, bank, mode, "joined")[0]
        if _dense_pays(x, 1, bank):
            return _dense_analysis(x, bank, mode)
        g, dims = bank.taps("analysis", x.dtype, x.device), x.ndim - 2
        for dim in split_order(dims):
            x = convolve(_extend_for_analysis(x, dim, bank.length, mode), g, dim, stride=2)
        return x.unflatten(1, (-1, 2**dims))

    return in_compute_dtype(x, compute)


def synthesise(coefficients: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """Inverse of `analyse`, (B, C, 4, h, w) to (B, C, H, W)."""

    def compute(c: Tensor) -> Tensor:
        if fits(c):
            return _synthesis_map(c, bank, mode).apply(c)[0]
        if _dense_pays(c[:, :, 0], 2, bank):
            return _dense_synthesis(c, bank, mode)
        g = bank.taps("synthesis", c.dtype, c.device)
        crop = bank.length - 2
        c = c.flatten(1, 2)
        order = split_order(c.ndim - 2)
        if mode == "periodization":
            # Wrapped coefficients give every output sample all the terms of its sum.
            around = bank.length // 4
            crop = bank.length // 2 - 1 + 2 * around
            for dim in order:
                c = extend(c, dim, around, around, "periodic")
        for dim in reversed(order):
            c = _spread(c, g, dim, crop)
        return c

    return in_compute_dtype(coefficients, compute)


def analyse_apart(x: Tensor, bank: FilterBank, mode: str) -> tuple[Tensor, Tensor]:
    """`analyse` of an `x` that `fits`: of images (B, C, h, w) and details (B, C, 3, h, w).

    Two results instead of views of one, whose gradients autograd would have to join again.
    """
    approx, details = _analysed(x, bank, mode, "apart")
    return approx, details


def synthesise_joined(approx: Tensor, details: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """Inverse of `analyse_apart`, for tensors that `fits` accepts together."""
    return _synthesis_map(details, bank, mode, "apart").apply(approx, details)[0]


def _analysed(x: Tensor, bank: FilterBank, mode: str, layout: str) -> list[Tensor]:
    filters = decimated(bank, "analysis", mode)
    if mode in COMPUTED:  # the tables of a map copy samples: these are laid out before it
        for dim in split_order(x.ndim - 2):
            x = _extend_for_analysis(x, dim, bank.length, mode)
        filters, mode = Bank(filters.taps, filters.stride, filters.spacing, 0, 0), "zero"
    return BankMap(filters, mode, tuple(x.shape[2:]), layout).apply(x)


def _synthesis_map(c: Tensor, bank: FilterBank, mode: str, layout: str = "joined") -> BankMap:
    # Synthesis drops what lies beyond the border: it is the transpose of a transform that found
    # zeros there. Under periodization the sum goes round the circle instead.
    size = tuple(2 * side for side in c.shape[3:])
    if mode != "periodization":
        mode, size = "zero", tuple(side - bank.length + 2 for side in size)
    return BankMap(decimated(bank, "synthesis", mode), mode, size, layout, transposed=True)


def _extend_for_analysis(x: Tensor, dim: int, length: int, mode: str) -> Tensor:
    # An odd side needs one sample more than an even one. All get it, and a stride of 2 leaves it
    # unread where it is not needed: so no graph depends on the parity of a side.
    before = length // 2 - 1 if mode == "periodization" else length - 2
    return extend(x, dim, before, before + 1, mode)


# Convolutions. Channels stay apart (groups); the two bands of a step become neighbours, so that
# the steps of `split_order` leave them in the order of PyWavelets.

_CONVOLUTIONS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED: tuple[Callable[..., Tensor], ...]
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def _along(dim: int, dims: int, value: int, others: int) -> list[int]:
    """`value` for one axis and `others` for the rest."""
    return [value if axis == dim else others for axis in range(-dims, 0)]


def convolve(x: Tensor, g: Tensor, dim: int, stride: int = 1, spacing: int = 1) -> Tensor:
    """(B, C, …) to (B, 2C, …): each channel becomes its low and its high band along `dim`."""
    channels, dims = x.shape[1], x.ndim - 2
    kernel = g.view(2, 1, *_along(dim, dims, -1, 1)).repeat(channels, *[1] * (1 + dims))
    strides, spacings = _along(dim, dims, stride, 1), _along(dim, dims, spacing, 1)
    filtered = _CONVOLUTIONS[dims - 1]
    return filtered(x, kernel, stride=strides, dilation=spacings, groups=channels)


def join(c: Tensor, g: Tensor, dim: int, spacing: int) -> Tensor:
    """(B, 2C, …) to (B, C, …): the sum of both bands of a channel, each filtered along `dim`."""
    channels, dims = c.shape[1] // 2, c.ndim - 2
    kernel = g.view(1, 2, *_along(dim, dims, -1, 1)).repeat(channels, *[1] * (1 + dims))
    steps = _along(dim, dims, spacing, 1)
    return _CONVOLUTIONS[dims - 1](c, kernel, groups=channels, dilation=steps)


def _spread(c: Tensor, g: Tensor, dim: int, crop: int) -> Tensor:
    """(B, 2C, …) to (B, C, …): the transpose of `convolve` at every second sample."""
    channels, dims = c.shape[1] // 2, c.ndim - 2
    kernel = g.view(2, 1, *_along(dim, dims, -1, 1)).repeat(channels, *[1] * (1 + dims))
    strides, crops = _along(dim, dims, 2, 1), _along(dim, dims, crop, 0)
    spread = _TRANSPOSED[dims - 1]
    return spread(c, kernel, stride=strides, padding=crops, groups=channels)


# Dense products.


def _dense_pays(x: Tensor, scale: int, bank: FilterBank) -> bool:
    """For images of the planes of `x`, `scale` times as high and wide."""
    if x.ndim != 4 or torch.compiler.is_compiling() or exporting():
        return False
    enough = x.shape[0] * x.shape[1] >= _DENSE_IMAGES
    return enough and dense_pays(scale * x.shape[-2], scale * x.shape[-1], bank.length)


def _analysis_matrix(side: int, bank: FilterBank, mode: str, like: Tensor) -> Tensor:
    """(side, 2n): columns are the low-pass coefficients, then the high-pass ones."""

    def build() -> Tensor:
        rows = torch.eye(side, dtype=like.dtype, device=like.device)[:, None, None]
        g = bank.taps("analysis", like.dtype, like.device)
        rows = _extend_for_analysis(rows, -1, bank.length, mode)
        return convolve(rows, g, -1, stride=2).flatten(1)

    return remember((bank, "analysis", side, mode, like.dtype, like.device), build)


def _synthesis_matrix(count: int, bank: FilterBank, mode: str, like: Tensor) -> Tensor:
    """(2 count, side): rows are the low-pass coefficients, then the high-pass ones."""

    def build() -> Tensor:
        c = torch.eye(2 * count, dtype=like.dtype, device=like.device).view(-1, 2, 1, count)
        g = bank.taps("synthesis", like.dtype, like.device)
        crop = bank.length - 2
        if mode == "periodization":
            around = bank.length // 4
            crop = bank.length // 2 - 1 + 2 * around
            c = extend(c, -1, around, around, "periodic")
        return _spread(c, g, -1, crop).flatten(1)

    return remember((bank, "synthesis", count, mode, like.dtype, like.device), build)


def _dense_analysis(x: Tensor, bank: FilterBank, mode: str) -> Tensor:
    rows = _analysis_matrix(x.shape[-1], bank, mode, x)
    columns = _analysis_matrix(x.shape[-2], bank, mode, x)
    y = torch.matmul(columns.t(), torch.matmul(x, rows))
    y = y.unflatten(-1, (2, -1)).unflatten(2, (2, -1))  # (B, C, 2 vertical, h, 2 horizontal, w)
    return y.permute(0, 1, 4, 2, 3, 5).flatten(2, 3)


def _dense_synthesis(c: Tensor, bank: FilterBank, mode: str) -> Tensor:
    rows = _synthesis_matrix(c.shape[-1], bank, mode, c)
    columns = _synthesis_matrix(c.shape[-2], bank, mode, c)
    c = c.unflatten(2, (2, 2)).permute(0, 1, 3, 4, 2, 5)  # (B, C, vertical, h, horizontal, w)
    return torch.matmul(columns.t(), torch.matmul(c.flatten(4, 5).flatten(2, 3), rows))
