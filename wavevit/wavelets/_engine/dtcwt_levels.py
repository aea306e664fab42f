"""One level of the dual tree, both directions, as plain torch operations.

In one dimension a level extends the signal at both ends and takes, for each of its two bands
and two phases, one inner product every `stride` samples:

    level 1:   stride 2, the odd-length filter at an even and at an odd sample;
    level 2+:  stride 4, tree a's filter on every second sample, tree b's on the others.

In two dimensions the four phase pairs of a band form a quad ``[[a, b], [c, d]]``; sums and
differences of its entries are the real and imaginary parts of two orientations,

    z₁ = ((a - d) + i (b + c)) / √2        z₂ = ((a + d) + i (b - c)) / √2.

That last step is orthonormal, so a level's adjoint is its inverse with the analysis filters in
the synthesis filters' place. The same linear map is written twice here, because neither form is
fast everywhere: as one strided convolution with sixteen output channels (eager on the CPU,
and in exported graphs, which it keeps short), and as shifted additions of column phases (what a
compiler fuses, and what keeps float32 exact on GPUs whose convolutions round to TF32).
tests/properties/test_dtcwt_laws.py holds them equal.

`analyse`, `approximate` and `synthesise` are overridable like torch's own functions
(`torch.overrides`), so that `wavevit.measure.cost` sees every level.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.wavelets._engine.bank_maps import Bank, BankMap, fits
from wavevit.wavelets._engine.dtcwt_bank import (
    LEVELS,
    PAIRS,
    Level,
    extended,
    extended_adjoint,
    level_of,
    zeros_around,
)
from wavevit.wavelets._engine.linear_maps import outside_autocast
from wavevit.wavelets._engine.symbolic_shapes import exporting
from wavevit.wavelets._engine.torch_private import transforms_active, untraced
from wavevit.wavelets._kernels.bank_tables import axis_matrix

__all__ = [
    "LEVELS",
    "Level",
    "analyse",
    "approximate",
    "dense_kernel",
    "low_pass_matrix",
    "synthesise",
]

_HALF = math.sqrt(0.5)


@functools.cache
def _dense_taps(name: str | Level) -> np.ndarray:
    level = level_of(name)
    taps = np.array(level.taps)  # (band, phase, K)
    # quads[row band, column band, p, q]: phase p of the column filter, q of the row filter
    quads = np.einsum("cpu,rqv->rcpquv", taps, taps)
    rows = [quads[0, 0, p, q] for p in (0, 1) for q in (0, 1)]
    details = [rows[0]] * 12
    for (first, second), (row_band, column_band) in PAIRS:
        a, b, c, d = quads[row_band, column_band].reshape(4, *quads.shape[-2:]) * _HALF
        details[2 * first : 2 * first + 2] = [a - d, b + c]
        details[2 * second : 2 * second + 2] = [a + d, b - c]
    return np.stack([*rows, *details])[:, None]


def dense_kernel(name: str | Level, like: Tensor) -> Tensor:
    """All sixteen outputs of a level as one convolution kernel, (16, 1, K, K).

    Channels 0 to 3 are the approximation's quad, 4 to 15 the six orientations' real and imaginary
    parts. In the dtype that `like` is computed in.
    """
    # A copy: torch must not write into the cache, and a fake-tensor mode sees an ordinary creation.
    with untraced():
        return torch.tensor(_dense_taps(name), dtype=compute_dtype(like.dtype), device=like.device)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half precisions are computed in float32 and rounded once, at the end."""
    return dtype if dtype == torch.float64 else torch.float32


def _maps(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B · C, 1, H, W)."""
    return x.reshape(x.shape[0] * x.shape[1], 1, x.shape[2], x.shape[3])


def _planes(x: Tensor, name: str | Level, mode: str, kernel: Tensor) -> Tensor:
    """(B, C, H, W) to (B · C, outputs of the kernel, h, w)."""
    level = level_of(name)
    padded = extended(extended(x, level.pad, mode, -1), level.pad, mode, -2)
    with outside_autocast(x):
        return F.conv2d(_maps(padded), kernel, stride=level.stride)


def _interleaved(quads: Tensor, batch: int, channels: int) -> Tensor:
    """The four trees' approximations, (B · C, 4, h, w), to (B, C, 2h, 2w)."""
    return F.pixel_shuffle(quads, 2).squeeze(1).unflatten(0, (batch, channels))


def _analyse_dense(x: Tensor, name: str | Level, mode: str) -> tuple[Tensor, Tensor]:
    batch, channels = x.shape[:2]
    planes = _planes(x, name, mode, dense_kernel(name, x))
    details = planes[:, 4:].unflatten(1, (6, 2)).unflatten(0, (batch, channels))
    return _interleaved(planes[:, :4], batch, channels), details


def _synthesise_dense(approx: Tensor, details: Tensor, name: str | Level, mode: str) -> Tensor:
    level = level_of(name)
    batch, channels = approx.shape[:2]
    quads = F.pixel_unshuffle(_maps(approx), 2)
    planes = torch.cat([quads, details.flatten(0, 1).flatten(1, 2)], dim=1)
    with outside_autocast(approx):
        padded = F.conv_transpose2d(planes, dense_kernel(name, approx), stride=level.stride)
    padded = padded.squeeze(1).unflatten(0, (batch, channels))
    return extended_adjoint(extended_adjoint(padded, level.pad, mode, -2), level.pad, mode, -1)


def _weighted_sum(parts: list[tuple[float, Tensor]]) -> Tensor:
    total = parts[0][0] * parts[0][1]
    for weight, part in parts[1:]:
        total = total + weight * part
    return total


def _analyse_shifted(x: Tensor, name: str | Level, mode: str) -> tuple[Tensor, Tensor]:
    stride, pad, taps = level_of(name)
    height, width = x.shape[-2] // stride, x.shape[-1] // stride
    padded = extended(extended(x, pad, mode, -1), pad, mode, -2)
    # Columns of one residue lie side by side, so that everything after this reads straight ahead.
    residues = [padded[..., r::stride] for r in range(stride)]

    def along_row(filter_: tuple[float, ...]) -> Tensor:
        return _weighted_sum(
            [
                (tap, residues[j % stride].narrow(-1, j // stride, width))
                for j, tap in enumerate(filter_)
                if tap
            ]
        )

    def along_column(row: Tensor, filter_: tuple[float, ...]) -> Tensor:
        last = stride * (height - 1) + 1
        return _weighted_sum(
            [(tap, row[..., j : j + last : stride, :]) for j, tap in enumerate(filter_) if tap]
        )

    rows = [[along_row(taps[band][q]) for q in (0, 1)] for band in (0, 1)]

    def quad(row_band: int, column_band: int) -> list[list[Tensor]]:
        return [
            [along_column(rows[row_band][q], taps[column_band][p]) for q in (0, 1)] for p in (0, 1)
        ]

    approx = torch.stack(
        [torch.stack(line, dim=-1).flatten(-2) for line in quad(0, 0)], dim=-2
    ).flatten(-3, -2)
    details: list[Tensor] = [x] * 12
    for (first, second), bands in PAIRS:
        (a, b), (c, d) = quad(*bands)
        details[2 * first : 2 * first + 2] = [_HALF * (a - d), _HALF * (b + c)]
        details[2 * second : 2 * second + 2] = [_HALF * (a + d), _HALF * (b - c)]
    return approx, torch.stack(details, dim=2).unflatten(2, (6, 2))


def _spread(parts: list[tuple[Tensor, tuple[float, ...]]], stride: int, dim: int) -> Tensor:
    """Adjoint of the inner products along one axis: adds each output over its support."""
    margin = len(parts[0][1]) // stride - 1
    padding = zeros_around(dim, margin, margin)
    padded = [(F.pad(part, padding), filter_) for part, filter_ in parts]
    length = parts[0][0].shape[dim] + margin
    lines = [
        _weighted_sum(
            [
                (filter_[j], part.narrow(dim, margin - j // stride, length))
                for part, filter_ in padded
                for j in range(residue, len(filter_), stride)
                if filter_[j]
            ]
        )
        for residue in range(stride)
    ]
    if dim == -1:
        return torch.stack(lines, dim=-1).flatten(-2)
    return torch.stack(lines, dim=-2).flatten(-3, -2)


def _synthesise_shifted(approx: Tensor, details: Tensor, name: str | Level, mode: str) -> Tensor:
    stride, pad, taps = level_of(name)
    quads = {(0, 0): [[approx[..., p::2, q::2] for q in (0, 1)] for p in (0, 1)]}
    for (first, second), bands in PAIRS:
        real_1, imag_1 = details[:, :, first].unbind(2)
        real_2, imag_2 = details[:, :, second].unbind(2)
        quads[bands] = [
            [_HALF * (real_1 + real_2), _HALF * (imag_1 + imag_2)],
            [_HALF * (imag_1 - imag_2), _HALF * (real_2 - real_1)],
        ]
    rows = []
    for row_band in (0, 1):
        for q in (0, 1):
            parts = [(quads[row_band, c][p][q], taps[c][p]) for c in (0, 1) for p in (0, 1)]
            rows.append(
                (extended_adjoint(_spread(parts, stride, -2), pad, mode, -2), taps[row_band][q])
            )
    return extended_adjoint(_spread(rows, stride, -1), pad, mode, -1)


class _Analysis(torch.autograd.Function):
    """The compiled level with its adjoint as backward: autodiff would zero-fill every slice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str | Level, mode: str) -> tuple[Tensor, Tensor]:
        ctx.name, ctx.mode = name, mode
        return _analyse_shifted(x, name, mode)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Synthesis.apply(*gradients, ctx.name, ctx.mode), None, None


class _Synthesis(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, approx: Tensor, details: Tensor, name: str | Level, mode: str) -> Tensor:
        ctx.name, ctx.mode = name, mode
        return _synthesise_shifted(approx, details, name, mode)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *_Analysis.apply(gradients[0], ctx.name, ctx.mode), None, None


def _map(name: str | Level, mode: str, size: tuple[int, int]) -> BankMap:
    stride, pad, ((low_0, low_1), (high_0, high_1)) = level_of(name)
    bank = Bank((low_0, high_1, low_1, high_0), stride, 1, pad, pad)
    return BankMap(bank, mode, size, "oriented")


def _wants_plain() -> bool:
    """Whether a compiler traces `torch.func`: operations must then have every derivative."""
    compiling = torch.compiler.is_compiling() and not exporting()
    return compiling and transforms_active()


def low_pass_matrix(name: str | Level, mode: str, side: int) -> np.ndarray:
    """What one axis of `approximate` does, (2 · outputs, side)."""
    bank = _map(name, mode, (side, side)).bank
    bands = axis_matrix(bank, side, mode).reshape(len(bank.taps), -1, side)
    return np.stack([bands[0], bands[2]], axis=1).reshape(-1, side)  # the two phases, interleaved


def analyse(x: Tensor, name: str | Level, mode: str) -> tuple[Tensor, Tensor]:
    """One level down.

    Args:
        x: (B, C, H, W), float32 or float64, sides that the level's stride divides.
        name: key of `LEVELS`, or a `Level`.
        mode: ``"symmetric"``, ``"periodic"`` or ``"zero"``.

    Returns:
        Approximation (B, C, 2h, 2w) and details (B, C, 6, 2, h, w), h = H / stride.
    """
    if has_torch_function((x,)):
        return handle_torch_function(analyse, (x,), x, name, mode)
    if fits(x):
        approx, details = _map(name, mode, (x.shape[-2], x.shape[-1])).apply(x)
        return approx, details
    if _wants_plain():
        return _analyse_shifted(x, name, mode)
    if torch.compiler.is_compiling() and not exporting():
        return _Analysis.apply(x, name, mode)
    if x.is_cuda and not exporting():
        return _analyse_shifted(x, name, mode)
    return _analyse_dense(x, name, mode)


def approximate(x: Tensor, name: str | Level, mode: str) -> Tensor:
    """The approximation of `analyse`, without computing the details."""
    if has_torch_function((x,)):
        return handle_torch_function(approximate, (x,), x, name, mode)
    if fits(x) or (not exporting() and (torch.compiler.is_compiling() or x.is_cuda)):
        return analyse(x, name, mode)[0]  # loops are fast; a compiler leaves out what is not read
    return _interleaved(_planes(x, name, mode, dense_kernel(name, x)[:4]), *x.shape[:2])


def synthesise(approx: Tensor, details: Tensor, name: str | Level, mode: str) -> Tensor:
    """One level up: the adjoint of `analyse` of the same name."""
    if has_torch_function((approx, details)):
        return handle_torch_function(synthesise, (approx, details), approx, details, name, mode)
    if fits(approx, details):
        stride = level_of(name).stride
        size = (stride * details.shape[-2], stride * details.shape[-1])
        return _map(name, mode, size).transpose.apply(approx, details)[0]
    if _wants_plain():
        return _synthesise_shifted(approx, details, name, mode)
    if torch.compiler.is_compiling() and not exporting():
        return _Synthesis.apply(approx, details, name, mode)
    if approx.is_cuda and not exporting():
        return _synthesise_shifted(approx, details, name, mode)
    return _synthesise_dense(approx, details, name, mode)
