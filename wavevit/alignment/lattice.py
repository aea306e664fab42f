"""Lattices of phases: which K of the grid offsets of a period an average takes.

Grid offsets of a period (p, q) are the group Z_p x Z_q. A subgroup of K of them, with all whole
periods, is a lattice of shifts: sums of two vectors. An average of a model over a subgroup is
invariant to the subgroup, and over other sets of offsets it is not.

Write `φ(k)` for the output at offset `k`, and `φ̂(m)` for its Fourier coefficients, `m` in
Z_p x Z_q. The average over a lattice keeps `φ̂(m)` on the dual lattice only (where
``m₁k₁/p + m₂k₂/q`` is whole for every `k` of the lattice) and removes all others. What remains
beside the mean changes with the grid. Outputs change smoothly with the offset, so low `m` hold
the most, and the best lattice has no low `m` in its dual. In the plane the dual of a lattice is the
same lattice, turned by a right angle and scaled by K/P: the lattice whose phases lie farthest
apart is also the one that removes the most low frequencies.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from wavevit.checks import check_at_least, check_pair, fail
from wavevit.wavelets._engine.torch_private import mark_constant

__all__ = ["allowed_phases", "check_phases", "phase_lattice"]

_SPAN = "two periods (rows, columns) of at least 1 pixel"


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def allowed_phases(span: tuple[int, int]) -> list[int]:
    """The numbers of phases that a period (rows, columns) has a subgroup of: divisors of p·q.

    Args:
        span: period (p, q) in pixels.

    Raises:
        ValueError: no pair of whole numbers of at least 1.
    """
    check_pair("span", span, _SPAN, least=1)
    rows, columns = (_divisors(side) for side in span)
    return sorted({a * b for a in rows for b in columns})


def check_phases(phases: int, span: tuple[int, int]) -> int:
    """Returns `phases` if a subgroup of so many grid offsets exists.

    Raises:
        ValueError: any other number; the message lists the allowed ones.
    """
    if (span[0] * span[1]) % phases:
        listed = ", ".join(map(str, allowed_phases(span)))
        fail("phases", f"one of {listed} for a period of {span[0]} x {span[1]} pixels", phases)
    return phases


def phase_lattice(span: tuple[int, int], phases: int) -> tuple[tuple[int, int], ...]:
    """K grid offsets that form a group and lie far apart.

    Rows and columns, and both directions along them, count alike where such a subgroup exists. On
    a period of P x P pixels it does for:

    * K = k², for a `k` that divides P: multiples of P/k on both axes. K = P²: all offsets.
    * K = 2k², for an even P/k: the same and the centres of its cells, a checkerboard. K = 2: no
      shift, and half a period along both axes.

    For other K it is the subgroup whose nearest two offsets (also across the border of the period)
    are farthest apart; of equally good ones the one with more symmetry, and then with fewer nearest
    neighbours.

    Args:
        span: period (p, q) in pixels, along rows' and columns' axis.
        phases: K, a divisor of p·q.

    Returns:
        K pairs in ascending order, (0, 0) first.

    Raises:
        ValueError: K does not divide p·q, or a period that is no pair of whole numbers.

    Example:
        >>> phase_lattice((8, 8), 2)
        ((0, 0), (4, 4))
        >>> phase_lattice((8, 8), 4)
        ((0, 0), (0, 4), (4, 0), (4, 4))
    """
    check_pair("span", span, _SPAN, least=1)
    check_at_least("phases", phases, 1)
    check_phases(phases, span)
    return _best(span[0], span[1], phases)


@lru_cache(maxsize=64)
def _best(rows: int, columns: int, phases: int) -> tuple[tuple[int, int], ...]:
    basis = min(_subgroups(rows, columns, phases), key=lambda basis: _rank(*basis))
    (a, b), (_, d) = basis
    points = (
        (i * a, (i * b + j * d) % columns) for i in range(rows // a) for j in range(columns // d)
    )
    return tuple(sorted(points))


mark_constant(phase_lattice)

_Basis = tuple[tuple[int, int], tuple[int, int]]


def _subgroups(rows: int, columns: int, phases: int) -> Iterator[_Basis]:
    """Bases ((a, b), (0, d)) of the lattices of K offsets, each lattice once (Hermite form)."""
    for a in _divisors(rows):
        cells = rows * columns // phases
        if cells % a or columns % (cells // a):
            continue
        d = cells // a
        for b in range(d):
            if (b * (rows // a)) % d == 0:  # (p, 0) belongs to the lattice
                yield (a, b), (0, d)


def _rank(first: tuple[int, int], second: tuple[int, int]) -> tuple[bool, int, int, int, _Basis]:
    """What `phase_lattice` prefers, smallest first."""
    (a, b), (_, d) = first, second
    short, long = sorted(_reduced(first, second), key=_square)
    shortest = _square(short)
    # Of a reduced basis only these can be as short as the shortest vector.
    near = [long, _sum(short, long), _sum(short, long, -1)]
    neighbours = 1 + sum(_square(vector) == shortest for vector in near)
    # Basis vectors with rows and columns exchanged, and with columns mirrored.
    images = (((b, a), (d, 0)), ((a, -b), (0, d)))
    broken = sum(any(x % a or (y - x // a * b) % d for x, y in image) for image in images)
    return broken > 0, -shortest, broken, neighbours, (first, second)


def _reduced(u: tuple[int, int], v: tuple[int, int]) -> _Basis:
    """Shortest basis of a lattice (Lagrange and Gauss)."""
    if _square(u) > _square(v):
        u, v = v, u
    while True:
        steps = round((u[0] * v[0] + u[1] * v[1]) / _square(u))
        v = _sum(v, u, -steps)
        if _square(v) >= _square(u):
            return u, v
        u, v = v, u


def _square(vector: tuple[int, int]) -> int:
    return vector[0] ** 2 + vector[1] ** 2


def _sum(u: tuple[int, int], v: tuple[int, int], times: int = 1) -> tuple[int, int]:
    return u[0] + times * v[0], u[1] + times * v[1]
