"""Which sample stands where, and who needs it: a filter bank along one axis as tables.

`_kernels.bank_cpu` loops over them; `axis_matrix` is the same map written out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from wavevit.wavelets._engine.bank_maps import Bank

__all__ = ["MIXED", "axis_matrix", "axis_tables", "mixing_matrix", "sources"]


# NumPy's names for the modes that copy samples.
_PADDED: dict[str, Literal["wrap", "symmetric", "reflect", "edge"]]
_PADDED = {"periodization": "wrap", "periodic": "wrap", "symmetric": "symmetric"}
_PADDED |= {"reflect": "reflect", "constant": "edge"}


def sources(side: int, before: int, after: int, mode: str) -> np.ndarray:
    """Index of the sample at every place of an extended signal, −1 for a zero.

    `_engine.modes.source` for a whole signal, and no tensor: a default device, fake
    tensors or a tracer would get hold of tensors.
    """
    samples = np.arange(side)
    if mode == "zero":
        return np.pad(samples, (before, after), constant_values=-1)
    if mode == "periodization" and side % 2:
        samples = np.append(samples, side - 1)
        return np.pad(samples, (before, max(after - 1, 0)), mode="wrap")[: before + side + after]
    return np.pad(samples, (before, after), mode=_PADDED[mode])


class AxisTables(NamedTuple):
    """One axis as tables. Sorted samples: number ``stride · j + r`` lies at ``r · places + j``.

    Attributes:
        sources: the sample that stands at each place of the extended signal, −1 for a zero.
        places: samples of one residue.
        edges: where in the sorted row lies what the plain loop over the signal does not reach.
        copied: the samples that stand there, −1 for a zero.
        starts: where the list of each sample begins in `bands`, `users` and `weights`.
        bands: the coefficients that a sample has a part in: their band,
        users: their place in it,
        weights: and how much of it.
    """

    sources: np.ndarray
    places: int
    edges: np.ndarray
    copied: np.ndarray
    starts: np.ndarray
    bands: np.ndarray
    users: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=128)
def axis_tables(bank: Bank, side: int, mode: str, dtype: np.dtype) -> AxisTables:
    count, length, number = bank.count(side), len(bank.taps[0]), len(bank.taps)
    before, stride = bank.before, bank.stride
    reach = stride * (count - 1) + bank.spacing * (length - 1) + 1
    samples = sources(side, before, max(reach - before - side, 0), mode)
    place = np.arange(samples.size)
    outside = (place < before) | (place >= before + side // stride * stride)
    places = -(-samples.size // stride)
    edges = (place % stride * places + place // stride)[outside]

    k, tap = np.meshgrid(np.arange(count), np.arange(length), indexing="ij")
    read = np.tile(samples[stride * k + bank.spacing * tap].ravel(), number)
    bands = np.repeat(np.arange(number), count * length)
    users = np.tile(k.ravel(), number)
    weights = np.concatenate([np.tile(taps, count) for taps in bank.taps])
    kept = np.flatnonzero((read >= 0) & (weights != 0))
    kept = kept[np.argsort(read[kept], kind="stable")]
    starts = np.searchsorted(read[kept], np.arange(side + 1))
    lists = bands[kept], users[kept], weights[kept].astype(dtype)
    return AxisTables(samples, places, edges, samples[outside], starts, *lists)


def axis_matrix(bank: Bank, side: int, mode: str) -> np.ndarray:
    """The map of one axis, (bands · count, side)."""
    tables = axis_tables(bank, side, mode, np.dtype(np.float64))
    result = np.zeros((len(bank.taps) * bank.count(side), side))
    rows = tables.bands * bank.count(side) + tables.users
    np.add.at(result, (rows, np.repeat(np.arange(side), np.diff(tables.starts))), tables.weights)
    return result


# The dual tree's four bands along an axis: low and high, at one phase and at the other, in the
# order low 0, high 1, low 1, high 0, so that of a later level two neighbours use the same samples.
# Two of the sixteen bands, their sum and their difference (times √½) among the twelve details.
_LOW, _HIGH = (0, 2), (3, 1)
_QUADS = (((0, 5), (_LOW, _HIGH)), ((1, 4), (_HIGH, _HIGH)), ((2, 3), (_HIGH, _LOW)))
MIXED = np.array(
    [
        row
        for (first, second), (u, v) in _QUADS
        for row in (
            (4 * u[0] + v[0], 4 * u[1] + v[1], 2 * second, 2 * first),
            (4 * u[1] + v[0], 4 * u[0] + v[1], 2 * first + 1, 2 * second + 1),
        )
    ]
)


def mixing_matrix() -> np.ndarray:
    """From the sixteen bands to the lowest one's quad and the twelve details; orthogonal."""
    result = np.zeros((16, 16))
    for p in (0, 1):
        for q in (0, 1):
            result[2 * p + q, 8 * q + 2 * p] = 1
    for first, second, plus, minus in MIXED:
        result[4 + plus, [first, second]] = 0.5**0.5
        result[4 + minus, [first, second]] = 0.5**0.5, -(0.5**0.5)
    return result
