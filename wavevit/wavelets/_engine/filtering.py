"""One level of a separable two-channel filter bank, and its adjoint, on both axes of an image.

With `g` the taps in correlation order and `x̃` the extended signal, the two maps along an axis are

    analysis     c_b[k] = Σ_i g_b[i] x̃[2k + i]
    synthesis    ỹ[m]   = Σ_b Σ_k g_b[m − 2k] c_b[k]        its transpose, cropped to the signal

and each has three evaluations that agree to rounding, chosen by what is fast where:

    a `BankMap`                     on the CPU, `_engine.bank_maps`
    strided grouped convolution     elsewhere for large images, and in every exported graph
    two dense matrix products       elsewhere for small images in eager mode: the matrix of a side,
                                    border included, is the transform of the identity

The last two are torch's own operations, so derivatives of every order and direction are torch's.
Half precision is computed in float32 and rounded once, at the end; autocast is kept out, because
rounding filters to bfloat16 would cost the reconstruction two digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._engine.bank_maps import Bank, BankMap, decimated, fits
from wavevit.wavelets._engine.bank_pieces import dense_pays
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
    "in_compute_dtype",
    "in_float32",
    "is_rounded_between",
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
    """`compute` of half precision, rounded once; in pieces, so that the batch is never widened."""
    dtype = tensors[0].dtype

    def rounded(*pieces: Tensor) -> list[Tensor]:
        return [part.to(dtype) for part in compute(*(x.float() for x in pieces))]

    return by_planes(rounded, *tensors, whole_images=whole_images or is_channels_last(tensors[0]))


def is_rounded_between(x: Tensor) -> bool:
    """Whether Haar's steps would round `x` at each: half precision that no kernel takes."""
    half = x.dtype in (torch.float16, torch.bfloat16)
    return half and (not has_kernel(x) or is_channels_last(x))


def analyse(x: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """One level, (B, C, H, W) to (B, C, 4, h, w)."""

    def compute(x: Tensor) -> Tensor:
        if fits(x):
            return _analysed(x, bank, mode, "joined")[0]
        if _dense_pays(x.shape[1] * x.shape[0], x.shape[-2], x.shape[-1], bank):
            return _dense_analysis(x, bank, mode)
        g = bank.taps("analysis", x.dtype, x.device)
        x = _convolve_rows(_extend_for_analysis(x, -1, bank.length, mode), g)
        x = _convolve_columns(_extend_for_analysis(x, -2, bank.length, mode), g)
        return x.unflatten(1, (-1, 4))

    return in_compute_dtype(x, compute)


def synthesise(coefficients: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """Inverse of `analyse`, (B, C, 4, h, w) to (B, C, H, W)."""

    def compute(c: Tensor) -> Tensor:
        if fits(c):
            return _synthesis_map(c, bank, mode).apply(c)[0]
        if _dense_pays(c.shape[1] * c.shape[0], 2 * c.shape[-2], 2 * c.shape[-1], bank):
            return _dense_synthesis(c, bank, mode)
        g = bank.taps("synthesis", c.dtype, c.device)
        crop = bank.length - 2
        c = c.flatten(1, 2)
        if mode == "periodization":
            # Wrapped coefficients give every output sample all the terms of its sum.
            around = bank.length // 4
            crop = bank.length // 2 - 1 + 2 * around
            c = extend(extend(c, -1, around, around, "periodic"), -2, around, around, "periodic")
        return _spread_rows(_spread_columns(c, g, crop), g, crop)

    return in_compute_dtype(coefficients, compute)


def analyse_apart(x: Tensor, bank: FilterBank, mode: str) -> tuple[Tensor, Tensor]:
    """`analyse` of an `x` that `fits`: approximation (B, C, h, w), details (B, C, 3, h, w).

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
        for dim in (-1, -2):
            x = _extend_for_analysis(x, dim, bank.length, mode)
        filters, mode = Bank(filters.taps, filters.stride, filters.spacing, 0, 0), "zero"
    return BankMap(filters, mode, (x.shape[-2], x.shape[-1]), layout).apply(x)


def _synthesis_map(c: Tensor, bank: FilterBank, mode: str, layout: str = "joined") -> BankMap:
    # Synthesis drops what lies beyond the border: it is the transpose of a transform that found
    # zeros there. Under periodization the sum goes round the circle instead.
    h, w = c.shape[-2:]
    if mode == "periodization":
        size = (2 * h, 2 * w)
    else:
        mode, size = "zero", (2 * h - bank.length + 2, 2 * w - bank.length + 2)
    return BankMap(decimated(bank, "synthesis", mode), mode, size, layout, transposed=True)


def _extend_for_analysis(x: Tensor, dim: int, length: int, mode: str) -> Tensor:
    # An odd side needs one sample more than an even one. All get it, and a stride of 2 leaves it
    # unread where it is not needed: so no graph depends on the parity of a side.
    before = length // 2 - 1 if mode == "periodization" else length - 2
    return extend(x, dim, before, before + 1, mode)


# Convolutions. Channels stay apart (groups); the two bands of a step become neighbours, so that
# two steps, rows first, leave them in the order cA, cH, cV, cD.


def _convolve_rows(x: Tensor, g: Tensor) -> Tensor:
    channels = x.shape[1]
    return F.conv2d(x, g[:, None, None].repeat(channels, 1, 1, 1), stride=(1, 2), groups=channels)


def _convolve_columns(x: Tensor, g: Tensor) -> Tensor:
    channels = x.shape[1]
    kernel = g[:, None, :, None].repeat(channels, 1, 1, 1)
    return F.conv2d(x, kernel, stride=(2, 1), groups=channels)


def _spread_rows(c: Tensor, g: Tensor, crop: int) -> Tensor:
    channels = c.shape[1] // 2
    kernel = g[:, None, None].repeat(channels, 1, 1, 1)
    return F.conv_transpose2d(c, kernel, stride=(1, 2), padding=(0, crop), groups=channels)


def _spread_columns(c: Tensor, g: Tensor, crop: int) -> Tensor:
    channels = c.shape[1] // 2
    kernel = g[:, None, :, None].repeat(channels, 1, 1, 1)
    return F.conv_transpose2d(c, kernel, stride=(2, 1), padding=(crop, 0), groups=channels)


# Dense products.


def _dense_pays(images: int, height: int, width: int, bank: FilterBank) -> bool:
    if torch.compiler.is_compiling() or exporting():
        return False
    return images >= _DENSE_IMAGES and dense_pays(height, width, bank.length)


def _analysis_matrix(side: int, bank: FilterBank, mode: str, like: Tensor) -> Tensor:
    """(side, 2n): columns are the low-pass coefficients, then the high-pass ones."""

    def build() -> Tensor:
        rows = torch.eye(side, dtype=like.dtype, device=like.device)[:, None, None]
        g = bank.taps("analysis", like.dtype, like.device)
        return _convolve_rows(_extend_for_analysis(rows, -1, bank.length, mode), g).flatten(1)

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
        return _spread_rows(c, g, crop).flatten(1)

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
