"""Separable filter banks on the CPU: one read of the image, one write of the coefficients.

The unit of work is one row of results. Forward, a row of each vertical band is a weighted sum of
image rows; its samples are sorted by residue modulo the stride, borders included, and weighted
again. Backward is the same read from its end. What lies between the two steps is one row long and
never leaves the cache. Which sample stands where, beyond the border too, comes from tables, so the
loops know no mode. Small planes are packed eight at a time, a lane of a vector for each, and the
same loops run over vectors.

This module imports numba, so it is imported at the first transform of a CPU tensor and not before.
`_engine.bank_maps` calls `run` with tensors whose shapes fit; nothing else should.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from wavevit.wavelets._kernels.bank_cpu_code import LANES
from wavevit.wavelets._kernels.bank_cpu_groups import adjoint_groups, analyse_groups
from wavevit.wavelets._kernels.bank_cpu_rows import adjoint_rows, analyse_rows
from wavevit.wavelets._kernels.bank_tables import MIXED, axis_tables
from wavevit.wavelets._kernels.cpu_threads import share

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import BankMap

__all__ = ["planes_of", "run", "used_taps"]

# Up to this side planes are computed together, a lane of a vector for each: a row is then as many
# vectors as it has samples, and sorting it moves vectors. At twice the side, eight planes and their
# coefficients no longer fit the second cache, and it takes up to 1.4 times as long.
_SHORT = 112


def used_taps(taps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Taps without those that a pair of bands does not use, which ones are left, and how many."""
    pairs = len(taps) // 2
    packed, used = np.zeros_like(taps), np.zeros((pairs, taps.shape[1]), np.int64)
    counts = np.zeros(pairs, np.int64)
    for pair in range(pairs):
        both = slice(2 * pair, 2 * pair + 2)
        kept = np.flatnonzero(taps[both].any(axis=0))
        packed[both, : kept.size], used[pair, : kept.size] = taps[both, kept], kept
        counts[pair] = kept.size
    return packed, used, counts


def planes_of(part: Tensor, dims: int = 2) -> tuple[list[int], list[int]]:
    """Addresses of the bands of the first plane, and bytes from each to that of the next plane."""
    band = part.shape[-dims:].numel() * part.element_size()
    inside = part.shape[2:-dims].numel()
    return [part.data_ptr() + index * band for index in range(inside)], [inside * band] * inside


def _oriented_sources() -> tuple[np.ndarray, np.ndarray]:
    """Each of the sixteen bands as a sum of planes, the four quads and then the twelve details:
    which planes, and times what."""
    which, factors = np.zeros((16, 2), np.int64), np.zeros((16, 2))
    for q in (0, 1):
        for p in (0, 1):
            band = 8 * q + 2 * p
            which[band, 0], factors[band, 0] = 2 * p + q, 1
    for first, second, plus, minus in MIXED:
        for part, plane in enumerate((plus, minus)):
            for band, sign in ((first, 1), (second, 1 - 2 * part)):
                which[band, part], factors[band, part] = 4 + plane, sign * 0.5**0.5
    return which, factors


def run(bank_map: BankMap, image: Tensor, bands: list[Tensor]) -> None:
    """Fills `bands` from `image`, or `image` from `bands`; float32 or float64.

    Args:
        bank_map: which map.
        image: (B, C, H, W), planes contiguous in themselves and evenly spaced.
        bands: the coefficients that the map has, in `BankMap`'s order, contiguous.
    """
    bank, mode, (height, width) = bank_map.bank, bank_map.mode, bank_map.size
    size, planes = image.element_size(), image.shape[0] * image.shape[1]
    taps = np.array(bank.taps, np.float32 if size == 4 else np.float64)
    one = taps.dtype.type(1)
    rows, columns = (
        axis_tables(bank, height, mode, taps.dtype),
        axis_tables(bank, width, mode, taps.dtype),
    )
    sorting = columns.edges, columns.copied, columns.places
    h, w = bank.count(height), bank.count(width)
    shared = *sorting, bank.before, bank.stride, bank.spacing, h, w
    oriented = bank_map.layout == "oriented"
    together = planes >= LANES and max(height, width) <= _SHORT
    groups = -(-planes // LANES)

    if not bank_map.transposed:
        targets, target_bytes = _bands_of(bands[-1:] if oriented else bands)
        there = image.data_ptr(), image.stride(1) * size
        lists = *used_taps(taps), rows.sources, *shared

        def analyse(start: int, stop: int) -> None:
            analyse_rows(
                one, size, *there, width, targets, target_bytes, approx, *lists, start, stop
            )

        def analyse_together(start: int, stop: int) -> None:
            analyse_groups(
                one, size, planes, *there, height, width, targets, target_bytes,
                bands[0].data_ptr(), 2 * h if oriented else 0, *lists, start, stop,
            )  # fmt: skip

        if together:
            share(analyse_together, groups, image.numel())
            return
        shape = (planes, 2 * h, 2 * w) if oriented else (0, 0, 0)
        approx = bands[0].detach().numpy().reshape(-1)[: np.prod(shape)].reshape(shape)
        share(analyse, planes * h, image.numel())
        return
    if oriented:
        quads = bands[0].reshape(planes, h, 2, w, 2).permute(0, 2, 4, 1, 3).contiguous()
        bands = [quads.flatten(1, 2).unflatten(0, (-1, 1)), bands[1]]
        which, factors = _oriented_sources()
    else:
        which = np.arange(len(taps) ** 2)[:, None]
        factors = np.ones(which.shape)
    sources, source_bytes = _bands_of(bands)
    factors = factors.astype(taps.dtype)
    of_rows = rows.starts, rows.bands, rows.users, rows.weights, *shared

    def adjoint(start: int, stop: int) -> None:
        pixels = image.detach().numpy().reshape(planes, height, width)
        adjoint_rows(
            one, size, pixels, sources[which], source_bytes[which], factors, taps, *of_rows, start,
            stop,
        )  # fmt: skip

    def adjoint_together(start: int, stop: int) -> None:
        adjoint_groups(
            one, size, planes, image.data_ptr(), image.stride(1) * size, height, width, sources,
            source_bytes, which, factors, taps, *of_rows, start, stop,
        )  # fmt: skip

    if together:
        share(adjoint_together, groups, image.numel())
    else:
        share(adjoint, planes * height, image.numel())


def _bands_of(parts: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """`planes_of` all of them."""
    places, steps = zip(*map(planes_of, parts), strict=True)
    return np.concatenate(places), np.concatenate(steps)
