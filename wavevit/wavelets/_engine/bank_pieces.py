"""Separable filter banks in plain operations, piece by piece, where no kernel is available.

A map is applied to a few planes, or a few rows of one, at a time, and its results are written into
place: beside them only one piece takes memory, and a piece fits into a cache. There is no
derivative; `_engine.bank_maps` has it. What was fastest on a CPU core, for each kind:

    small sides      two products with the matrices of the axes, borders included
    a dual tree      one strided convolution with all sixteen results
    all others       along each axis, weighted sums of shifted slices
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wavevit.wavelets._kernels.bank_tables import axis_tables, mixing_matrix

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import Bank, BankMap

__all__ = ["dense_pays", "run"]

_SAMPLES = 2**16  # of a piece of the images: with all that is made of it, a megabyte or two
# Sides up to which products are fastest: they cost the side per sample, sums cost the taps.
_DENSE_SIDE_PER_TAP = 24
_DENSE_SIDES = (128, 320)  # whatever the taps, up to the first and never above the second


class _Axis(NamedTuple):
    """One axis: how many samples lie between neighbouring coefficients, and which sample is where.

    Attributes:
        taps: of each band.
        stride: see `_engine.bank_maps.Bank`.
        spacing: likewise.
        outputs: coefficients per band.
        sources: the sample at each place of the extended signal, −1 for a zero.
        before: places before the first sample.
        side: number of samples.
    """

    taps: tuple[tuple[float, ...], ...]
    stride: int
    spacing: int
    outputs: int
    sources: Tensor
    before: int
    side: int

    @property
    def reach(self) -> int:
        return self.spacing * (len(self.taps[0]) - 1) + 1

    def places(self, start: int, stop: int) -> slice:
        """What the coefficients from `start` to `stop` read of the extended signal."""
        return slice(self.stride * start, self.stride * (stop - 1) + self.reach)

    def read_by(self, tap: int, count: int) -> slice:
        """What one tap of `count` coefficients reads of the places of all."""
        first = self.spacing * tap
        return slice(first, first + self.stride * (count - 1) + 1, self.stride)


def _axis(bank_map: BankMap, side: int) -> _Axis:
    bank = bank_map.bank
    sources = axis_tables(bank, side, bank_map.mode, np.dtype(np.float64)).sources
    table = torch.from_numpy(sources)
    return _Axis(bank.taps, bank.stride, bank.spacing, bank.count(side), table, bank.before, side)


def _sum_into(target: Tensor, parts: list[tuple[float, Tensor]]) -> None:
    """Writes a weighted sum."""
    for index, (weight, part) in enumerate(parts):
        if index:
            target.add_(part, alpha=weight)
        else:
            torch.mul(part, weight, out=target)


def _pieces(planes: int, rows: _Axis, width: int) -> Iterator[tuple[slice, slice]]:
    """Planes and rows of coefficients that are computed together."""
    most = max(_SAMPLES // (rows.side * width), 1)
    high = max((_SAMPLES // width - rows.reach) // rows.stride, 1) if most == 1 else rows.outputs
    for plane in range(0, planes, most):
        for row in range(0, rows.outputs, high):
            yield slice(plane, min(plane + most, planes)), slice(row, min(row + high, rows.outputs))


def dense_pays(height: int, width: int, taps: int) -> bool:
    """Whether products with whole matrices beat filters of so many taps."""
    always, never = _DENSE_SIDES
    return max(height, width) <= min(max(_DENSE_SIDE_PER_TAP * taps, always), never)


def run(bank_map: BankMap, image: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `image`, or `image` from `bands`; float32 or float64.

    Args:
        bank_map: which map.
        image: (B, C, H, W).
        bands: the coefficients that the map has, in `BankMap`'s order.
    """
    rows, columns = (_axis(bank_map, side) for side in bank_map.size)
    planes = image.flatten(0, 1)
    parts = [part.flatten(0, 1) for part in bands]
    oriented = bank_map.layout == "oriented"
    if rows.stride > 1 and not oriented and dense_pays(rows.side, columns.side, len(rows.taps[0])):
        _multiply(bank_map, planes, parts)
        return
    if bank_map.transposed:
        planes.zero_()
    kernel = _mixed_kernel(bank_map.bank, image.dtype) if oriented else None
    for which, where in _pieces(planes.shape[0], rows, columns.side):
        some, pieces = planes[which], [part[which] for part in parts]
        if kernel is None and bank_map.transposed:
            _add_rows(some, _spread(_read(pieces, where), rows, columns), where, rows)
        elif kernel is None:
            _write(pieces, where, _weigh(_rows(some, where, rows), rows, columns))
        elif bank_map.transposed:
            quads = F.conv_transpose2d(_read_oriented(pieces, where), kernel, stride=rows.stride)
            lines = quads.new_zeros(*quads.shape[:-1], columns.side)
            _add_places(lines, quads, columns.sources, columns.before, 3)
            _add_rows(some, lines[:, 0], where, rows)
        else:
            block = _gathered(_rows(some, where, rows), columns.sources, 2)
            results = F.conv2d(block.unsqueeze(1), kernel, stride=rows.stride)
            _write_oriented(pieces, where, results)


def _multiply(bank_map: BankMap, planes: Tensor, parts: list[Tensor]) -> None:
    most = max(2 * _SAMPLES // planes.shape[1:].numel(), 1)
    sources, targets = (parts, [planes]) if bank_map.transposed else ([planes], parts)
    for start in range(0, len(planes), most):
        which = slice(start, start + most)
        results = bank_map.plain([source[which].unsqueeze(1) for source in sources])
        for target, result in zip(targets, results, strict=True):
            target[which] = result.squeeze(1)


def _mixed_kernel(bank: Bank, dtype: torch.dtype) -> Tensor:
    """Filters of the four trees' quad and of the twelve details, (16, 1, K, K)."""
    taps = np.array(bank.taps)
    pairs = np.einsum("uj,vi->uvij", taps, taps).reshape(16, -1)
    side = taps.shape[1]
    return torch.tensor(mixing_matrix() @ pairs, dtype=dtype).view(16, 1, side, side)


def _rows(planes: Tensor, where: slice, rows: _Axis) -> Tensor:
    """What the rows `where` of coefficients read, borders extended."""
    return _gathered(planes, rows.sources[rows.places(where.start, where.stop)], 1)


def _weigh(block: Tensor, rows: _Axis, columns: _Axis) -> Tensor:
    """Coefficients of `_rows`, (planes, horizontal band, vertical band, n, w)."""
    n, number = (block.shape[1] - rows.reach) // rows.stride + 1, len(rows.taps)
    lines = block.new_empty(len(block), number, n, columns.side)
    for band, taps in enumerate(rows.taps):
        shifted = [(tap, block[:, rows.read_by(i, n)]) for i, tap in enumerate(taps) if tap]
        _sum_into(lines[:, band], shifted)
    stride, spacing, w = columns.stride, columns.spacing, columns.outputs
    # Columns of one residue lie side by side, so that what follows reads straight ahead.
    sorted_ = [_gathered(lines, columns.sources[r::stride], 3) for r in range(stride)]
    result = block.new_empty(len(block), number, number, n, w)
    for band, taps in enumerate(columns.taps):
        shifted = [
            (tap, sorted_[spacing * i % stride].narrow(3, spacing * i // stride, w))
            for i, tap in enumerate(taps)
            if tap
        ]
        _sum_into(result[:, band], shifted)
    return result


def _gathered(x: Tensor, sources: Tensor, dim: int) -> Tensor:
    """Samples along `dim` in the order of a table, zeros where it says −1."""
    gathered = x.index_select(dim, sources.clamp(min=0))
    outside = (sources < 0).nonzero().flatten()
    return gathered.index_fill_(dim, outside, 0) if len(outside) else gathered


def _spread(coefficients: Tensor, rows: _Axis, columns: _Axis) -> Tensor:
    """Transpose of `_weigh`."""
    planes, number, _, n, w = coefficients.shape
    stride, spacing = columns.stride, columns.spacing
    lines = coefficients.new_zeros(planes, number, n, columns.side)
    for r in range(stride):
        sources = columns.sources[r::stride]
        sorted_ = coefficients.new_zeros(planes, number, n, len(sources))
        for band, taps in enumerate(columns.taps):
            for i, tap in enumerate(taps):
                if tap and spacing * i % stride == r:
                    target = sorted_.narrow(3, spacing * i // stride, w)
                    target.add_(coefficients[:, band], alpha=tap)
        # The places of this residue that are samples themselves, and not copies of some.
        first = -(columns.before - r) % stride
        inside = lines[..., first::stride]
        _add_places(inside, sorted_, sources, (columns.before + first) // stride, 3, lines)
    places = rows.places(0, n)
    block = coefficients.new_zeros(planes, places.stop, columns.side)
    for band, taps in enumerate(rows.taps):
        for i, tap in enumerate(taps):
            if tap:
                block[:, rows.read_by(i, n)].add_(lines[:, band], alpha=tap)
    return block


def _add_rows(planes: Tensor, block: Tensor, where: slice, rows: _Axis) -> None:
    """Transpose of `_rows`, added to `planes`."""
    places = rows.places(where.start, where.stop)
    # Of the image's own rows, those that are among these places.
    first = max(places.start - rows.before, 0)
    last = max(min(places.stop - rows.before, rows.side), first)
    start = rows.before + first - places.start if last > first else 0
    _add_places(planes[:, first:last], block, rows.sources[places], start, 1, planes)


def _add_places(
    inside: Tensor,
    extended: Tensor,
    sources: Tensor,
    start: int,
    dim: int,
    target: Tensor | None = None,
) -> None:
    """Adds an extended signal to the signal, copies to what they copy.

    Args:
        inside: those of `target`'s samples that stand in `extended`, from `start` on.
        extended: what is added.
        sources: the sample of `target` at each place, −1 for a zero.
        start: see `inside`.
        dim: along which.
        target: the signal, where it is more than `inside`.
    """
    stop = start + inside.shape[dim]
    inside += extended.narrow(dim, start, inside.shape[dim])
    target = inside if target is None else target
    for part in (slice(0, start), slice(stop, len(sources))):
        kept = (sources[part] >= 0).nonzero().flatten() + part.start
        if len(kept):
            target.index_add_(dim, sources[kept], extended.index_select(dim, kept))


def _write(parts: list[Tensor], where: slice, coefficients: Tensor) -> None:
    """Writes coefficients into the results: all bands in one tensor, or the lowest one apart."""
    flat = coefficients.flatten(1, 2)
    if len(parts) == 1:
        parts[0][:, :, where] = flat
    else:
        parts[0][:, where], parts[1][:, :, where] = flat[:, 0], flat[:, 1:]


def _read(parts: list[Tensor], where: slice) -> Tensor:
    """Inverse of `_write`."""
    pieces = [part[..., where, :] for part in parts]
    flat = pieces[0] if len(pieces) == 1 else torch.cat([pieces[0][:, None], pieces[1]], dim=1)
    number = round(flat.shape[1] ** 0.5)
    return flat.unflatten(1, (number, number))


def _write_oriented(parts: list[Tensor], where: slice, results: Tensor) -> None:
    """Quads to the interleaved approximation, the others to the orientations."""
    approx, details = parts
    approx.unflatten(1, (-1, 2))[:, where].flatten(1, 2)[:] = F.pixel_shuffle(results[:, :4], 2)[
        :, 0
    ]
    details.flatten(1, 2)[:, :, where] = results[:, 4:]


def _read_oriented(parts: list[Tensor], where: slice) -> Tensor:
    """Inverse of `_write_oriented`."""
    approx, details = parts
    rows = approx.unflatten(1, (-1, 2))[:, where].flatten(1, 2)
    quads = F.pixel_unshuffle(rows.unsqueeze(1), 2)
    return torch.cat([quads, details.flatten(1, 2)[:, :, where]], dim=1)
