"""One transform level with one filter bank for the rows and another for the columns.

This is for `wavevit.wavelets.compat` only. The main transforms have one bank for both axes and
faster code (`_engine.filtering`), with the same formulas, modes and order of bands.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._engine.filtering import in_compute_dtype
from wavevit.wavelets._engine.modes import extend
from wavevit.wavelets.filters import FilterBank
from wavevit.wavelets.swt import filter_axis

__all__ = ["analyse_axes", "synthesise_axes", "undecimated_axes"]


def analyse_axes(x: Tensor, along_rows: FilterBank, along_columns: FilterBank, mode: str) -> Tensor:
    """(B, C, H, W) to (B, C, 4, h, w), bands ``cA, cH, cV, cD``."""

    def compute(x: Tensor) -> Tensor:
        low, high = _analyse(x, -1, along_rows, mode)
        halves = (*_analyse(low, -2, along_columns, mode), *_analyse(high, -2, along_columns, mode))
        return torch.stack(halves, dim=2)

    return in_compute_dtype(x, compute)


def synthesise_axes(
    coefficients: Tensor, along_rows: FilterBank, along_columns: FilterBank, mode: str
) -> Tensor:
    """Inverse of `analyse_axes` for the synthesis filters of the same banks."""

    def compute(c: Tensor) -> Tensor:
        low = _synthesise(c[:, :, 0], c[:, :, 1], -2, along_columns, mode)
        high = _synthesise(c[:, :, 2], c[:, :, 3], -2, along_columns, mode)
        return _synthesise(low, high, -1, along_rows, mode)

    return in_compute_dtype(coefficients, compute)


def undecimated_axes(
    x: Tensor, along_rows: FilterBank, along_columns: FilterBank, level: int, mode: str
) -> list[Tensor]:
    """(B, C, H, W) to undecimated levels, fine to coarse, (B, C, 4, H, W) each."""

    def compute(x: Tensor) -> Tensor:
        rows = along_rows.taps("analysis", x.dtype, x.device)
        columns = along_columns.taps("analysis", x.dtype, x.device)
        levels = []
        for j in range(level):
            bands = filter_axis(filter_axis(x, rows, -1, 2**j, mode), columns, -2, 2**j, mode)
            levels.append(bands.unflatten(1, (x.shape[1], 4)))
            x = levels[-1][:, :, 0]
        return torch.stack(levels)

    levels = in_compute_dtype(x, compute)
    return [levels[index] for index in range(level)]


def _analyse(x: Tensor, dim: int, bank: FilterBank, mode: str) -> tuple[Tensor, Tensor]:
    before = bank.length // 2 - 1 if mode == "periodization" else bank.length - 2
    lines = extend(x.movedim(dim, -1), -1, before, before + 1, mode)
    taps = bank.taps("analysis", x.dtype, x.device)[:, None]
    bands = F.conv1d(lines.flatten(0, 2).unsqueeze(1), taps, stride=2)
    low, high = bands.unflatten(0, lines.shape[:3]).unbind(3)
    return low.movedim(-1, dim), high.movedim(-1, dim)


def _synthesise(low: Tensor, high: Tensor, dim: int, bank: FilterBank, mode: str) -> Tensor:
    lines = torch.stack([low.movedim(dim, -1), high.movedim(dim, -1)], dim=-2)
    crop = bank.length - 2
    if mode == "periodization":  # wrapped coefficients give every sample all terms of its sum
        around = bank.length // 4
        lines = extend(lines, -1, around, around, "periodic")
        crop = bank.length // 2 - 1 + 2 * around
    taps = bank.taps("synthesis", low.dtype, low.device)[:, None]
    merged = F.conv_transpose1d(lines.flatten(0, 2), taps, stride=2, padding=crop)
    return merged.squeeze(1).unflatten(0, lines.shape[:3]).movedim(-1, dim)
