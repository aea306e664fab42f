"""Separable filter banks of signals and volumes in plain operations, one axis after the other.

Used where no kernel is available, as `_engine.bank_pieces` is for images. Every step is an
operation of torch, so autograd and every tracer with fixed sizes can trace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._engine.coefficients import split_order
from wavevit.wavelets._engine.tensor_cache import remember
from wavevit.wavelets._kernels.bank_tables import sources

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import BankMap

__all__ = ["filtered", "run"]


def run(bank_map: BankMap, tensors: Sequence[Tensor], results: Sequence[Tensor]) -> None:
    """Fills `results` with the map of `tensors`."""
    for result, part in zip(results, filtered(bank_map, tensors), strict=True):
        result.copy_(part)


def filtered(bank_map: BankMap, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The map of `tensors`, in either direction; layouts ``"joined"`` and ``"apart"``."""
    order = split_order(len(bank_map.size))
    if not bank_map.transposed:
        bands = tensors[0].unsqueeze(2)
        for axis in order:
            bands = _split(bank_map, bands, axis)
        return [bands[:, :, 0], bands[:, :, 1:]] if bank_map.layout == "apart" else [bands]
    bands = tensors[0]
    if bank_map.layout == "apart":
        bands = torch.cat([tensors[0].unsqueeze(2), tensors[1]], dim=2)
    for axis in reversed(order):
        bands = _merge(bank_map, bands, axis)
    return [bands.squeeze(2)]


def _split(bank_map: BankMap, x: Tensor, axis: int) -> Tensor:
    """(B, C, n, …) to (B, C, n · bands, …): every band is split along one axis."""
    bank, side = bank_map.bank, x.shape[axis]
    kernel, places = _kernel(bank_map, x), _places(bank_map, side, x)
    lines = x.movedim(axis, -1)
    before = lines.shape[:-1]
    lines = lines.reshape(-1, 1, side)
    if places is None:
        lines = F.pad(lines, (bank.before, bank.after))
    else:
        lines = lines.index_select(-1, places)
    lines = F.conv1d(lines, kernel, stride=bank.stride, dilation=bank.spacing)
    lines = lines.reshape(*before, len(bank.taps), -1)
    return lines.movedim(-1, axis - 1).movedim(-1, 3).flatten(2, 3)


def _merge(bank_map: BankMap, c: Tensor, axis: int) -> Tensor:
    """Transpose of `_split`."""
    bank, side, number = bank_map.bank, bank_map.size[axis], len(bank_map.bank.taps)
    kernel, places = _kernel(bank_map, c), _places(bank_map, side, c)
    bands = c.unflatten(2, (-1, number)).movedim(3, -1).movedim(axis - 1, -1)
    before = bands.shape[:-2]
    bands = bands.reshape(-1, number, bands.shape[-1])
    lines = F.conv_transpose1d(bands, kernel, stride=bank.stride, dilation=bank.spacing)
    if places is None:
        missing = max(bank.before + side - lines.shape[-1], 0)
        lines = F.pad(lines, (0, missing)).narrow(-1, bank.before, side)
    else:
        target = lines.new_zeros(len(lines), 1, side)
        lines = target.index_add(-1, places, lines)
    return lines.reshape(*before, side).movedim(-1, axis)


def _kernel(bank_map: BankMap, like: Tensor) -> Tensor:
    taps, dtype, device = bank_map.bank.taps, like.dtype, like.device
    key = (taps, "kernel of lines", dtype, device)
    return remember(key, lambda: torch.tensor(taps, dtype=dtype, device=device)[:, None])


def _places(bank_map: BankMap, side: int, like: Tensor) -> Tensor | None:
    """The sample at every place that is read of an extended side; None for zeros around it."""
    bank, mode = bank_map.bank, bank_map.mode
    if mode == "zero":
        return None

    def build() -> Tensor:
        reach = bank.stride * (bank.count(side) - 1) + bank.spacing * (len(bank.taps[0]) - 1) + 1
        table = sources(side, bank.before, max(reach - bank.before - side, 0), mode)[:reach]
        return torch.tensor(table, device=like.device)

    return remember((bank, "places", side, mode, like.device), build)
